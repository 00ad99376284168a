"""config.text and config.data: from a prepared corpus to a tokenizer, a plan and batches."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from jasr.corpora.corpus import Corpus
from jasr.errors import UserError
from jasr.experiment.model import build_log_mel
from jasr.experiment.tasks import tasks_of
from jasr.experiment.workdir import Meta
from jasr.pipeline.plan import EvalPlan, TrainPlan
from jasr.pipeline.usable import Selection, select_all, select_audio, select_usable
from jasr.tasks.targets import NoTargets, Targets, Transcripts
from jasr.tasks.task_targets import TaskTargets
from jasr.text.normalizer import normalizer
from jasr.text.tokenizer import Tokenizer, train_tokenizer
from jasr.types import Batch, Padded

# Enough audio for the mean of a mel band to be known to a hundredth of its deviation.
STATISTICS_UTTERANCES = 300
Statistics = dict[str, list[float]] | None


def build_tokenizer(
    config: Mapping[str, Any],
    corpus: Corpus,
    normalize: Callable[[str], str],
    *,
    more: Iterable[str] = (),
    marks: Sequence[str] = (),
) -> Tokenizer:
    """The tokenizer of config.text, made from the training transcripts.

    more:  other texts to be written; marks: words of which each is to be one token.
    Raises UserError where the corpus has no transcripts.
    """
    texts = [normalize(u.text) for u in corpus.utterances if u.text is not None] + list(more)
    if not any(texts):
        raise UserError(
            f"corpus {corpus.name!r}, split {corpus.split!r} has no transcripts to train on: "
            f"expected text in at least one of its {len(corpus)} utterances"
        )
    return train_tokenizer(config["tokenizer"], texts, vocab_size=config["vocab_size"], marks=marks)


def build_targets(meta: Meta) -> Targets:
    """What the utterances of a training become: nothing where there is no tokenizer."""
    if meta.tokenizer is None:
        return NoTargets()
    normalize = normalizer(meta.config["text"]["normalizer"])
    if meta.config["tasks"]:
        return TaskTargets(tasks_of(meta), meta.tokenizer, normalize)
    return Transcripts(meta.tokenizer, normalize)


def needs_statistics(config: Mapping[str, Any]) -> bool:
    """Whether a front end, config.model.log_mel, normalises by what the corpus is like."""
    return config.get("normalize") == "global"


def statistics_of(
    config: Mapping[str, Any], corpus: Corpus, known: Statistics = None
) -> Statistics:
    """Mean and standard deviation of each mel band over an even sample of the corpus.

    None where the front end, config.model.log_mel, does not normalise by them.
    known: found before, and kept.
    """
    if not needs_statistics(config):
        return None
    if known is not None:
        return known
    log_mel = build_log_mel({**config, "normalize": "none"}, None)
    step = max(1, len(corpus) // STATISTICS_UTTERANCES)
    extract = jax.jit(log_mel)
    total = squares = np.zeros(log_mel.num_mels)
    frames = 0
    for index in range(0, len(corpus), step):
        try:
            wave = corpus.read(index)
        except UserError:
            continue  # the loader names it in the report when its turn comes
        second = corpus.sample_rate
        room = -(-len(wave) // second) * second
        audio = Padded(np.pad(wave, (0, room - len(wave)))[None], np.arange(room)[None] < len(wave))
        features = extract(audio)
        real = np.asarray(features.values, np.float64)[np.asarray(features.mask)]
        total, squares, frames = total + real.sum(0), squares + (real**2).sum(0), frames + len(real)
    mean = total / frames
    deviation = np.sqrt(np.maximum(squares / frames - mean**2, 1e-8))
    return {"mean": mean.tolist(), "std": deviation.tolist()}


def train_plan(
    config: Mapping[str, Any],
    corpus: Corpus,
    targets: Targets,
    *,
    seed: int,
    multiple_of: int,
) -> TrainPlan:
    """The order of training that config.data asks for, of what it finds usable.

    Where audio is all that is asked for, what is too long is cut, and not left out.
    """
    lengths = {key: config[key] for key in ("min_seconds", "max_seconds")}
    selection = (
        select_audio(corpus, **lengths)
        if isinstance(targets, NoTargets)
        else select_usable(
            corpus,
            targets,
            **lengths,
            max_tokens=config["max_tokens"],
            needs_text=config["needs_text"],
        )
    )
    passes = corpus.passes_of(selection.indices)
    return order(config, selection, seed=seed, multiple_of=multiple_of, passes=passes)


def order(
    config: Mapping[str, Any],
    selection: Selection,
    *,
    seed: int,
    multiple_of: int,
    passes: Float[np.ndarray, " utterances"] | None = None,
) -> TrainPlan:
    """The order of training that config.data asks for, of a selection."""
    return TrainPlan(
        selection,
        seed=seed,
        batch_seconds=config["batch_seconds"],
        num_buckets=config["num_buckets"],
        speeds=config["augment"]["speeds"],
        multiple_of=multiple_of,
        passes=passes,
    )


def empty_batch(
    rows: int,
    *,
    samples: int,
    tokens: int,
    targets: Targets | None = None,
    lessons: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> Batch:
    """A batch of padding alone; its shapes are what a model's initialisation needs.

    targets: those of the batch; "text" alone if none are given.
    lessons: of its rows, empty.
    """
    targets = targets or NoTargets()
    sizes = {**dict.fromkeys(targets.sequences, tokens), **dict.fromkeys(targets.singles, 1)}
    return Batch(
        audio=_padding(rows, samples, np.float32),
        targets={name: _padding(rows, size, np.int32) for name, size in sizes.items()},
        example_mask=np.zeros(rows, bool),
        example_ids=np.zeros(rows, np.uint32),
        lessons=dict(lessons),
    )


def _padding(rows: int, length: int, dtype: Any) -> Padded:
    return Padded(np.zeros((rows, length), dtype), np.zeros((rows, length), bool))


def eval_plan(
    config: Mapping[str, Any], corpus: Corpus, targets: Targets, *, multiple_of: int
) -> EvalPlan:
    """Every utterance of a split once, in the shapes of config.evaluation."""
    return in_order(config, select_all(corpus, targets), multiple_of=multiple_of)


def in_order(
    config: Mapping[str, Any],
    selection: Selection,
    *,
    multiple_of: int,
    speeds: Sequence[float] = (1.0,),
) -> EvalPlan:
    """All of a selection once, or at each speed, in the shapes of config.evaluation."""
    return EvalPlan(
        selection,
        batch_seconds=config["batch_seconds"],
        num_buckets=config["num_buckets"],
        multiple_of=multiple_of,
        speeds=speeds,
    )
