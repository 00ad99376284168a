"""What a training learns from: recordings with transcripts, and recordings without."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jasr.corpora.catalogue import open_corpus
from jasr.corpora.corpus import Corpus
from jasr.corpora.heard import HeardCorpus, Trust
from jasr.corpora.joined import JoinedCorpus
from jasr.corpora.passes import check_passes
from jasr.corpora.unpaired import UnpairedCorpus
from jasr.corpora.untranscribed import UntranscribedCorpus
from jasr.errors import UserError
from jasr.experiment.construct import construct
from jasr.experiment.tasks import open_mixture
from jasr.pipeline.augment import WaveformAugment


@dataclasses.dataclass(frozen=True)
class UnpairedText:
    """What config.unpaired_text says: a corpus section of its own, and which split of it."""

    corpus: Mapping[str, Any]
    split: str = "train"


def open_training(config: Mapping[str, Any], data_dir: str | None) -> Corpus:
    """config.splits.train, and the recordings alone of config.splits.untranscribed.

    Of those config.labels says what a recogniser heard; without it they have no text.
    """
    splits = config["splits"]
    if config["labels"]["path"] and not splits["untranscribed"]:
        raise UserError("config.labels.path is given, and no config.splits.untranscribed to label")
    parts = [open_mixture(config, splits["train"], data_dir)] if splits["train"] else []
    if splits["untranscribed"]:
        parts.append(_untranscribed(config, splits["untranscribed"], data_dir))
    if not parts:
        raise UserError("config.splits.train and .untranscribed are empty: give one of them")
    passes = check_passes(
        config["labels"]["transcribed_passes"], "config.labels.transcribed_passes"
    )
    corpus = parts[0] if len(parts) == 1 else JoinedCorpus(parts, (passes, 1.0))
    if config["unpaired_text"]:
        corpus = UnpairedCorpus(corpus, _unpaired_text(config, data_dir), config["seed"])
    return corpus


def open_augment(config: Mapping[str, Any], data_dir: str | None) -> WaveformAugment:
    """What config.data.augment says, with the recordings that it takes noise from."""
    given = dict(config["data"]["augment"])
    noise, corpus = dict(given.pop("noise")), None
    split = noise.pop("split")
    if noise["name"]:
        section = {"kind": "manifest", "sample_rate": config["corpus"]["sample_rate"], **noise}
        corpus = open_corpus(section, split, data_dir)
    return construct(WaveformAugment, given, "config.data.augment", noise_corpus=corpus)


def unpaired_lines(config: Mapping[str, Any], data_dir: str | None) -> list[str]:
    """The texts of config.unpaired_text; none where there is no such section."""
    if not config["unpaired_text"]:
        return []
    return [utterance.text or "" for utterance in _unpaired_text(config, data_dir).utterances]


def _unpaired_text(config: Mapping[str, Any], data_dir: str | None) -> Corpus:
    chosen = construct(UnpairedText, config["unpaired_text"], "config.unpaired_text")
    return open_corpus(chosen.corpus, chosen.split, data_dir)


def _untranscribed(config: Mapping[str, Any], split: str, data_dir: str | None) -> Corpus:
    if config["tasks"]:
        raise UserError(
            "config.splits.untranscribed: a training of config.tasks takes recordings without a "
            "label from config.splits.train"
        )
    corpus = open_corpus(config["corpus"], split, data_dir)
    labels = dict(config["labels"])
    path = labels.pop("path")
    del labels["transcribed_passes"]
    if not path and config["data"]["needs_text"]:
        raise UserError(
            f"nothing says what is said in config.splits.untranscribed, {split}: give "
            f"config.labels.path, which launch.label writes, or learn from them without "
            f"(config.data.needs_text=False)"
        )
    if not path:
        return UntranscribedCorpus(corpus)
    return HeardCorpus(corpus, Path(path), construct(Trust, labels, "config.labels"))
