"""Which utterances of a corpus a plan arranges, decided from the index alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from jasr.corpora.corpus import Corpus, Problem, Utterance
from jasr.errors import UserError
from jasr.tasks.targets import Targets
from jasr.text.tokenizer import UnknownCharacters


@dataclass(frozen=True, eq=False)
class Selection:
    """Utterances, or pieces of them, and their sizes.

    indices:     place of each in the corpus.
    num_samples: length of its audio at `sample_rate` Hz, as the index says.
    starts:      the sample that each piece begins at.
    num_tokens:  of its longest target; 0 where it has none that can be encoded.
    problems:    the utterances left out, and why.
    """

    indices: Int[np.ndarray, " utterances"]
    num_samples: Int[np.ndarray, " utterances"]
    num_tokens: Int[np.ndarray, " utterances"]
    starts: Int[np.ndarray, " utterances"]
    sample_rate: int
    problems: Sequence[Problem] = ()

    def __len__(self) -> int:
        return len(self.indices)


def indexed_samples(utterance: Utterance, sample_rate: int) -> int:
    """Number of samples that the index promises for an utterance, at least 1."""
    return max(1, round(utterance.duration * sample_rate))


def select_usable(
    corpus: Corpus,
    targets: Targets,
    *,
    min_seconds: float,
    max_seconds: float,
    max_tokens: int,
    needs_text: bool = True,
) -> Selection:
    """The utterances that can be trained on; every other one is among the problems, with a reason.

    needs_text: whether one without a transcript cannot.
    Raises UserError where none is left.
    """
    indices, num_tokens, problems = [], [], list(corpus.problems)
    for index, utterance in enumerate(corpus.utterances):
        tokens = 0
        reason = _unusable_audio(utterance, min_seconds=min_seconds, max_seconds=max_seconds)
        if reason is None:
            try:
                tokens = _num_tokens(targets, utterance)
                reason = _unusable_text(tokens, max_tokens, least=1 if needs_text else 0)
            except UnknownCharacters as error:
                shown = " ".join(repr(character) for character in sorted(error.characters))
                reason = f"its text has characters outside the tokenizer's vocabulary: {shown}"
        if reason is None:
            indices.append(index)
            num_tokens.append(tokens)
        else:
            problems.append(Problem(utterance.id, reason))
    if not indices:
        raise _nothing_left(corpus, problems)
    return _selection(corpus, indices, num_tokens, problems)


def select_all(corpus: Corpus, targets: Targets) -> Selection:
    """Every utterance, with or without a transcript: what an evaluation arranges.

    A transcript that cannot be encoded counts as no target tokens; it is scored as text.
    Raises UserError where the corpus is empty.
    """
    num_tokens = []
    for utterance in corpus.utterances:
        try:
            num_tokens.append(_num_tokens(targets, utterance))
        except UnknownCharacters:
            num_tokens.append(0)
    problems = list(corpus.problems)
    if not num_tokens:
        raise _nothing_left(corpus, problems)
    return _selection(corpus, range(len(num_tokens)), num_tokens, problems)


def select_audio(corpus: Corpus, *, min_seconds: float, max_seconds: float) -> Selection:
    """All audio, with or without text: what is longer than max_seconds is cut into equal pieces.

    Raises UserError where nothing is at least min_seconds long.
    """
    rate = corpus.sample_rate
    indices, starts, num_samples, problems = [], [], [], list(corpus.problems)
    for index, utterance in enumerate(corpus.utterances):
        reason = _unusable_audio(utterance, min_seconds=min_seconds, max_seconds=math.inf)
        if reason is not None:
            problems.append(Problem(utterance.id, reason))
            continue
        length = indexed_samples(utterance, rate)
        cuts = np.linspace(0, length, math.ceil(length / (max_seconds * rate)) + 1).astype(np.int64)
        indices += [index] * (len(cuts) - 1)
        starts += cuts[:-1].tolist()
        num_samples += np.diff(cuts).tolist()
    if not indices:
        raise _nothing_left(corpus, problems)
    return Selection(
        indices=np.asarray(indices, np.int64),
        num_samples=np.asarray(num_samples, np.int64),
        num_tokens=np.zeros(len(indices), np.int64),
        starts=np.asarray(starts, np.int64),
        sample_rate=rate,
        problems=tuple(problems),
    )


def _selection(
    corpus: Corpus, indices: Sequence[int], num_tokens: Sequence[int], problems: Sequence[Problem]
) -> Selection:
    utterances = corpus.utterances
    num_samples = [indexed_samples(utterances[i], corpus.sample_rate) for i in indices]
    return Selection(
        indices=np.asarray(indices, np.int64),
        num_samples=np.asarray(num_samples, np.int64),
        num_tokens=np.asarray(num_tokens, np.int64),
        starts=np.zeros(len(indices), np.int64),
        sample_rate=corpus.sample_rate,
        problems=tuple(problems),
    )


def _num_tokens(targets: Targets, utterance: Utterance) -> int:
    return max(map(len, targets.of(utterance).values()), default=0)


def _unusable_audio(utterance: Utterance, *, min_seconds: float, max_seconds: float) -> str | None:
    if not utterance.duration >= min_seconds:
        return f"{utterance.duration:.2f} s is shorter than min_seconds, {min_seconds:g} s"
    if utterance.duration > max_seconds:
        return f"{utterance.duration:.2f} s is longer than max_seconds, {max_seconds:g} s"
    return None


def _unusable_text(num_tokens: int, max_tokens: int, *, least: int) -> str | None:
    if num_tokens < least:
        return "it has no text, or none that is believed (config.labels)"
    if num_tokens > max_tokens:
        return f"its text has {num_tokens} tokens, more than max_tokens, {max_tokens}"
    return None


def _nothing_left(corpus: Corpus, problems: Sequence[Problem]) -> UserError:
    where = f"corpus {corpus.name!r}, split {corpus.split!r}"
    if not problems:
        return UserError(f"{where} is empty: expected at least one utterance")
    first = problems[0]
    return UserError(
        f"{where}: none of its {len(problems)} utterances can be used; "
        f"the first, {first.id!r}: {first.reason}"
    )
