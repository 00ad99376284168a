"""Every kind of corpus there is, and how to prepare and open one from its config."""

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_collections
from tensorflow_datasets.core.constants import get_default_data_dir

from jasr.corpora.builder import VERSION, SpeechBuilder
from jasr.corpora.corpus import Corpus, NoSuchSplit, NotPrepared, find_split
from jasr.corpora.joined import JoinedCorpus
from jasr.corpora.librispeech import LibrispeechSource
from jasr.corpora.manifest import ManifestSource
from jasr.corpora.part import PartOfCorpus
from jasr.corpora.passes import check_passes
from jasr.corpora.preparation import Preparation, already_prepared, prepare, read_source
from jasr.corpora.prepared import PreparedCorpus, splits_of
from jasr.corpora.source import Source
from jasr.corpora.spoken.source import SpokenSource
from jasr.corpora.spoken.text import SpokenTextSource
from jasr.corpora.stock import StockSource
from jasr.corpora.text_files import TextOptions, open_text
from jasr.errors import UserError, nearest

KINDS: dict[str, type[Source]] = {
    "manifest": ManifestSource,
    "librispeech": LibrispeechSource,
    "spoken": SpokenSource,
    "spoken_text": SpokenTextSource,
    "tfds": StockSource,
}
# The kind that needs no preparation.
TEXT = "text"


@dataclass(frozen=True)
class CorpusConfig:
    """The `corpus` part of a config; `sample_rate` in Hz, `options` are those of the kind.

    A corpus of kind "mixture" has `parts` instead: of each, by its name, the kind, its folder below
    `--source`, how often an epoch goes over it (`passes`), and options.
    """

    kind: str
    name: str
    sample_rate: int
    options: Any
    parts: Any = ()

    @property
    def description(self) -> dict[str, Any]:
        return {"kind": self.kind, "options": dataclasses.asdict(self.options)}


def prepare_parts(
    corpus_config: Mapping[str, Any] | ml_collections.ConfigDict,
    source: Path | str | None,
    data_dir: Path | str | None,
) -> Iterator[Preparation]:
    """Prepares each part of a mixture, or the one corpus that it is; as `prepare_corpus` does."""
    for part, _, folder in _parts(corpus_config):
        kind = KINDS.get(part.get("kind", ""))
        needs = source is not None and (not folder or kind is None or kind.needs_source is not None)
        yield prepare_corpus(part, Path(source) / folder if source and needs else None, data_dir)


def prepare_corpus(
    corpus_config: Mapping[str, Any] | ml_collections.ConfigDict,
    source: Path | str | None,
    data_dir: Path | str | None,
) -> Preparation:
    """Prepares a corpus from `source` into `data_dir` (TFDS's own where None), unless it is there.

    Without a source, one that is there is taken as it is.
    Raises UserError for a config or a source that cannot be used.
    """
    config = _parse(corpus_config)
    folder = _folder(config, data_dir)
    if config.kind == TEXT:
        raise UserError(
            "a corpus of kind 'text' is read where it lies: there is nothing to prepare"
        )
    kind = KINDS[config.kind]
    if source is None and kind.needs_source is not None:
        if _is_prepared(config, folder):
            return already_prepared(folder)
        raise UserError(f"corpus kind {config.kind!r} needs --source: {kind.needs_source}")
    if source is not None and kind.needs_source is None:
        raise UserError(f"corpus kind {config.kind!r} takes no --source, found {str(source)!r}")
    return prepare(
        kind(None if source is None else Path(source), config.options),
        folder,
        sample_rate=config.sample_rate,
        description=config.description,
    )


def open_corpus(
    corpus_config: Mapping[str, Any] | ml_collections.ConfigDict,
    split: str,
    data_dir: Path | str | None,
) -> Corpus:
    """A split of a prepared corpus, a part of one ("train[:10%]"), or several joined by "+".

    "dev" and "validation" are one split under either name. Of a mixture, a part need not have every
    one of the splits, if another has it.

    Raises NotPrepared, with the command to run, where it is not prepared, and NoSuchSplit, with the
    splits there are, where it has no such split.
    """
    if corpus_config.get("kind") != "mixture":
        opened = [_open(_parse(corpus_config), name, data_dir) for name in split.split("+")]
        return opened[0] if len(opened) == 1 else JoinedCorpus(opened)
    parts = list(_parts(corpus_config))
    found, passes = [], []
    for name in split.split("+"):
        missing = []
        for part, times, _ in parts:
            try:
                found.append(_open(_parse(part), name, data_dir))
                passes.append(times)
            except NoSuchSplit as error:
                missing.append(error)
        if len(missing) == len(parts):
            raise missing[0]
    return JoinedCorpus(found, passes)


def _parts(
    corpus_config: Mapping[str, Any] | ml_collections.ConfigDict,
) -> Iterator[tuple[Mapping[str, Any], float, str]]:
    """Each part of a mixture as a corpus of its own, its passes, and its folder in the source."""
    given = dict(corpus_config)
    if given.get("kind") != "mixture":
        yield given, 1.0, ""
        return
    parts = given.get("parts")
    if not parts:
        raise UserError("config.corpus.parts is empty: a mixture needs at least one part")
    for name, part in parts.items():
        if not isinstance(part, Mapping | ml_collections.ConfigDict):
            raise UserError(f"config.corpus.parts.{name} is {part!r}: expected a section of keys")
        part = {"kind": "manifest", "folder": name, "passes": 1.0, "options": {}, **dict(part)}
        passes, folder = part.pop("passes"), part.pop("folder")
        passes = check_passes(passes, f"config.corpus.parts.{name}.passes")
        rates = {"sample_rate": given["sample_rate"]} if "sample_rate" in given else {}
        yield {**rates, **part, "name": name}, passes, folder


def _open(config: CorpusConfig, split: str, data_dir: Path | str | None) -> Corpus:
    name, part = _parse_split(split)
    corpus = (
        open_text(config.name, config.options, name)
        if config.kind == TEXT
        else _open_prepared(config, name, data_dir)
    )
    return corpus if part is None else PartOfCorpus(corpus, part)


def _open_prepared(config: CorpusConfig, split: str, data_dir: Path | str | None) -> PreparedCorpus:
    folder = _folder(config, data_dir)
    if not _is_prepared(config, folder):
        raise NotPrepared(
            f"corpus {config.name!r} is not prepared at {folder}: "
            f"run {_prepare_command(config, data_dir)}"
        )
    there = find_split(split, splits_of(folder), corpus=config.name)
    return PreparedCorpus(folder, config.name, there, config.sample_rate)


def _parse_split(split: str) -> tuple[str, range | None]:
    """ "train[10%:50%]" -> ("train", range(10, 50)), in per cent"""
    name, bracket, rest = split.partition("[")
    if not bracket:
        return name, None
    bounds = re.fullmatch(r"(?:(\d{1,2})%)?:(?:(\d{1,3})%)?\]", rest)
    part = range(int(bounds[1] or 0), int(bounds[2] or 100)) if bounds else range(0)
    if not part or part.stop > 100:
        raise UserError(
            f"split {split!r}: expected NAME or NAME[FROM%:TO%], such as train[:10%] or train[10%:]"
        )
    return name, part


def _folder(config: CorpusConfig, data_dir: Path | str | None) -> Path:
    """Options that are not the defaults have a folder of their own: variants live side by side."""
    chosen = {
        field.name: getattr(config.options, field.name)
        for field in dataclasses.fields(config.options)
        if getattr(config.options, field.name) != field.default
    }
    digest = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:8]
    variant = f"{config.name}-{config.sample_rate}hz" + (f"-{digest}" if chosen else "")
    return prepared_root(data_dir) / variant / VERSION


def _is_prepared(config: CorpusConfig, folder: Path) -> bool:
    return folder.is_dir() and read_source(folder).get("kind") == config.kind


def prepared_root(data_dir: Path | str | None) -> Path:
    """Where all that is prepared lies below `data_dir`, or TFDS's own folder where None."""
    root = Path(os.path.expanduser(data_dir or get_default_data_dir())).absolute()
    return root / SpeechBuilder.name


def _prepare_command(config: CorpusConfig, data_dir: Path | str | None) -> str:
    """CONFIG is for the reader to fill in: a corpus does not know its config's file."""
    source = " --source=FOLDER" if KINDS[config.kind].needs_source else ""
    place = f" --data_dir={data_dir}" if data_dir else ""
    return f"python -m launch.prepare --config=CONFIG{source}{place}"


def _parse(corpus_config: Mapping[str, Any] | ml_collections.ConfigDict) -> CorpusConfig:
    given = dict(corpus_config)
    _check_keys(given, [field.name for field in dataclasses.fields(CorpusConfig)], "corpus")
    for key in ("kind", "name", "sample_rate"):
        if key not in given:
            raise UserError(f"config.corpus has no {key!r}")
    kind, name, sample_rate = given["kind"], given["name"], given["sample_rate"]
    if kind not in (*KINDS, TEXT):
        raise UserError(f"config.corpus.kind is {kind!r}: {nearest(str(kind), (*KINDS, TEXT))}")
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]*", name):
        raise UserError(
            f"config.corpus.name is {name!r}: expected letters, digits, '.', '-' and '_'"
        )
    if type(sample_rate) is not int or sample_rate <= 0:
        raise UserError(f"config.corpus.sample_rate is {sample_rate!r}: expected a number of Hz")
    options_type = TextOptions if kind == TEXT else KINDS[kind].Options
    options = _parse_options(options_type, dict(given.get("options") or {}))
    return CorpusConfig(kind, name, sample_rate, options)


def _parse_options(options: type, given: dict[str, Any]) -> Any:
    fields = {field.name: field for field in dataclasses.fields(options)}
    _check_keys(given, list(fields), "corpus.options")
    for name, value in given.items():
        expected = type(fields[name].default)
        if type(value) is not expected:
            raise UserError(
                f"config.corpus.options.{name} is {value!r}: expected {expected.__name__}"
            )
    return options(**given)


def _check_keys(given: Mapping[str, Any], known: list[str], where: str) -> None:
    for key in given:
        if key not in known:
            choices = nearest(key, known) if known else "it has no options"
            raise UserError(f"config.{where} has no {key!r}: {choices}")
