"""What a model says of recordings when it is asked one of its tasks."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from jasr.corpora.chosen import ChosenCorpus
from jasr.corpora.corpus import Corpus, Utterance
from jasr.decoding.hypotheses import Hypothesis
from jasr.decoding.labels import ClassArgmax, Given, TagArgmax
from jasr.decoding.phrase_rule import PhraseRule
from jasr.errors import UserError, nearest
from jasr.experiment.data import build_targets
from jasr.experiment.model import most_tokens
from jasr.experiment.recognition import Recognition
from jasr.experiment.tasks import tasks_of
from jasr.pipeline.buckets import token_room
from jasr.tasks.task import Classified, Tagged, Written, mark
from jasr.tasks.text import Text
from jasr.text.tokenizer import Tokenizer, UnknownCharacters

# Those of an utterance, best first.
Hypotheses: TypeAlias = Sequence[Hypothesis]


def asking(recognition: Recognition, name: str) -> Recognition:
    """A recognition whose answers are labels of a task; the corpus says for which it is asked.

    Raises UserError where the model has no such task, or the search cannot keep to its names.
    """
    tasks = tasks_of(recognition.meta)
    if not tasks:
        raise UserError(f"task {name!r}: this model has no tasks, it transcribes")
    if name not in tasks:
        raise UserError(f"task {name!r} is none of this model's: {nearest(name, tasks)}")
    task, search = tasks[name], recognition.searches.get(name, recognition.method)
    recognition = dataclasses.replace(recognition, method=search)
    if isinstance(task, Classified):
        return _choosing(recognition, name, task)
    if isinstance(task, Tagged):
        return _tagging(recognition, name, task)
    assert isinstance(task, Written), "a task is written, classified or tagged"
    return _writing(recognition, name, task)


def _choosing(recognition: Recognition, name: str, task: Classified) -> Recognition:
    def read(found: Hypotheses) -> Any:
        return task.names[found[0].tokens[0]]

    return dataclasses.replace(recognition, method=ClassArgmax(name), read=read)


def given_words(recognition: Recognition) -> Recognition:
    """The same, with the corpus's words in place of those that a search finds."""
    return dataclasses.replace(recognition, method=Given(), searches={})


def readable(recognition: Recognition, corpus: Corpus, *, least: int = 0) -> Corpus:
    """Those utterances of whose label and transcript the decoder can read every token.

    least: how many tokens the label has to have.
    """
    targets, most = build_targets(recognition.meta), most_tokens(recognition.meta.config["model"])
    if most is None and not least:
        return corpus

    def fits(utterance: Utterance) -> bool:
        try:
            found = targets.of(utterance)
        except UnknownCharacters:
            found = {}
        # All targets of a batch have the room of the longest.
        longest = max(len(found.get(name, ())) for name in targets.sequences)
        return least <= len(found.get("text", ())) and (most is None or token_room(longest) <= most)

    return ChosenCorpus(corpus, [at for at, one in enumerate(corpus.utterances) if fits(one)])


def _tagging(recognition: Recognition, name: str, task: Tagged) -> Recognition:
    tokenizer = recognition.tokenizer

    def read(found: Hypotheses) -> Any:
        tokens, tags = (one.tokens for one in found)
        starts = tokenizer.word_starts(tokens)
        return task.read(tokenizer.decode(tokens).split(), [task.names[tags[at]] for at in starts])

    return dataclasses.replace(recognition, method=TagArgmax(name, recognition.method), read=read)


def _writing(recognition: Recognition, name: str, task: Written) -> Recognition:
    tokenizer, search = recognition.tokenizer, recognition.method

    def read(found: Hypotheses) -> Any:
        return task.read(tokenizer.decode(found[0].tokens))

    if not hasattr(search, "rule") and not _is_heard_by_ctc(task, recognition):
        raise UserError(
            f"config.tasks.{name} is written by the decoder, and not found by {search.name}: let "
            f"config.decoding, or the task's own decoding, be attention_greedy or attention_beam"
        )
    if task.names:
        written = [t for t in tasks_of(recognition.meta).values() if isinstance(t, Written)]
        others = [name for other in written for name in other.names]
        search = dataclasses.replace(search, rule=phrase_rule(task, tokenizer, others))
    return dataclasses.replace(recognition, method=search, read=read)


def _is_heard_by_ctc(task: Written, recognition: Recognition) -> bool:
    """Whether a CTC head alone writes what the task does: it transcribes, or learned each text."""
    if task.names:
        return False
    config = recognition.meta.config
    targets = [term.get("target") for term in config["objective"].values()]
    is_transcript = (
        isinstance(task, Text)
        and task.column == "text"
        and task.normalizer == config["text"]["normalizer"]
    )
    return is_transcript or "transcript" not in targets


def phrase_rule(task: Written, tokenizer: Tokenizer, others: Iterable[str] = ()) -> PhraseRule:
    """Which tokens may follow which where a task writes its names and words behind each.

    others: names that other tasks write.

    Whatever the task writes may be written: a word can begin with a token of its own letters or,
    where the tokenizer has learned no such token, with a space alone. Raises UserError where a name
    is not one token.
    """
    names = tuple(_token_of(name, tokenizer) for name in task.names)

    def written(*tokens: int) -> list[str]:
        return tokenizer.decode([names[0], *tokens]).split()

    foreign = tuple(_token_of(name, tokenizer) for name in sorted(set(others) - set(task.names)))
    rest = [t for t in range(tokenizer.vocab_size) if t not in (*names, *foreign)]
    starts = tuple(token for token in rest if len(written(token)) == 2)
    # Letters that go on with a word; behind a space they begin one.
    letters = next(t for t in rest if len(written(t)) == 1 and written(t) != written())
    gaps = tuple(t for t in rest if written(t) == written() and len(written(t, letters)) == 2)
    openers = tuple(_token_of(name, tokenizer) for name in task.openers)
    return PhraseRule(names, starts, tokenizer.end_id, gaps, openers, foreign)


def _token_of(name: str, tokenizer: Tokenizer) -> int:
    tokens = tokenizer.encode(mark(name))
    # By itself a word is what it begins, and so is one behind another.
    if len(tokens) != 1 or len(tokenizer.decode(tokens * 2).split()) != 2:
        raise UserError(
            f"the tokenizer has no token for {mark(name)}: a task that writes names needs one "
            f"trained with them (config.text.tokenizer bpe or unigram)"
        )
    return tokens[0]
