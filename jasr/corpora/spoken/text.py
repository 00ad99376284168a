"""Texts of one's own, spoken by espeak-ng: training data for what nobody has recorded.

    {"id": "o1", "text": "a small latte please", "split": "train", "intent": "order"}

`id` and `text` are required; every column but those and `split` is a label.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jasr.corpora.corpus import SPLIT_ALIASES
from jasr.corpora.source import RecordingStream, Source
from jasr.corpora.spoken.grammar import Sentence
from jasr.corpora.spoken.speech import Line, speak
from jasr.corpora.spoken.voices import VARIANTS, deliveries
from jasr.errors import UserError
from jasr.files import read_json_lines


@dataclass(frozen=True)
class SpokenTextOptions:
    """transcript: "words" or "phonemes"; seed: of who says what, and how."""

    transcript: str = "words"
    seed: int = 0


class SpokenTextSource(Source):
    """The lines of a file, each by a voice drawn for it; splits share no voice.

    Raises UserError with file and line for one that cannot be spoken.
    """

    Options = SpokenTextOptions
    needs_source = "a file of JSON lines with id and text, or a folder with texts.jsonl in it"

    def __init__(self, source: Path | None, options: SpokenTextOptions):
        assert source is not None, "the kind needs a source"
        self.transcript = options.transcript
        path = source / "texts.jsonl" if source.is_dir() else source
        self.lines = _script(path, options.seed)

    def fingerprint(self) -> str:
        script = {split: [asdict(line) for line in lines] for split, lines in self.lines.items()}
        said = json.dumps(script, sort_keys=True) + self.transcript
        return hashlib.sha256(said.encode()).hexdigest()

    def splits(self) -> Mapping[str, RecordingStream]:
        return {
            split: RecordingStream(speak(lines, self.transcript), total=len(lines))
            for split, lines in self.lines.items()
        }


def _script(path: Path, seed: int) -> dict[str, list[Line]]:
    by_split: dict[str, dict[str, Sentence]] = {}
    for number, record in read_json_lines(path):
        id, split, sentence = _sentence(record, f"{path}:{number}")
        if any(id in sentences for sentences in by_split.values()):
            raise UserError(f"{path}:{number}: id {id!r} was given before")
        by_split.setdefault(split, {})[id] = sentence
    if not by_split:
        raise UserError(f"{path} has no lines: expected one text a line")
    return {
        split: [
            Line(id, sentence, delivery)
            for (id, sentence), delivery in zip(
                sentences.items(),
                deliveries(_voices_of(split), f"{seed}-{split}", len(sentences)),
                strict=True,
            )
        ]
        for split, sentences in by_split.items()
    }


def _sentence(record: dict[str, Any], where: str) -> tuple[str, str, Sentence]:
    try:
        id, text = record.pop("id"), record.pop("text")
    except KeyError as error:
        raise UserError(f"{where}: expected a JSON object with id and text ({error})") from error
    split = record.pop("split", "train")
    if not (isinstance(id, str) and isinstance(text, str) and text.strip()):
        raise UserError(f"{where}: expected a text to say, found {text!r} as that of {id!r}")
    if _voices_of(split) not in VARIANTS:
        raise UserError(f"{where}: split {split!r} is none of {', '.join(VARIANTS)}")
    return id, split, Sentence(text, record)


def _voices_of(split: str) -> str:
    return split if split in VARIANTS else SPLIT_ALIASES.get(split, split)
