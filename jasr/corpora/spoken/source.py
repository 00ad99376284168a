"""The embedded corpus: everyday events, with who did what to whom, spoken by espeak-ng.

    grammar ──▶ sentence, labels ─┐
                                  ├─▶ speech ──▶ Recording
    voices  ──▶ delivery ─────────┘

Splits share no sentence and no voice. espeak-ng (GPL-3) is used at preparation only.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from jasr.corpora.source import RecordingStream, Source
from jasr.corpora.spoken.grammar import sentences
from jasr.corpora.spoken.speech import Line, speak
from jasr.corpora.spoken.voices import deliveries


@dataclass(frozen=True)
class SpokenOptions:
    """Distinct sentences in each split, what is written of them, and the seed of all that is drawn.

    transcript: "words" or "phonemes".
    """

    train_sentences: int = 5000
    validation_sentences: int = 300
    test_sentences: int = 300
    transcript: str = "words"
    seed: int = 0


class SpokenSource(Source):
    """Needs nothing but the wheel espeakng-loader; the same bytes for the same options."""

    Options = SpokenOptions
    needs_source = None

    def __init__(self, source: None, options: SpokenOptions):
        del source
        self.transcript = options.transcript
        self.lines = _script(options)

    def fingerprint(self) -> str:
        """Of everything said and how: it changes with the grammar and the voices too."""
        script = {split: [asdict(line) for line in lines] for split, lines in self.lines.items()}
        written = "" if self.transcript == "words" else self.transcript
        said = json.dumps(script, sort_keys=True) + written
        return hashlib.sha256(said.encode()).hexdigest()

    def splits(self) -> Mapping[str, RecordingStream]:
        return {
            split: RecordingStream(speak(lines, self.transcript), total=len(lines))
            for split, lines in self.lines.items()
        }


def _script(options: SpokenOptions) -> dict[str, list[Line]]:
    script: dict[str, list[Line]] = {}
    said: set[str] = set()
    for split in ("train", "validation", "test"):
        count = getattr(options, f"{split}_sentences")
        seed = f"{options.seed}-{split}"
        chosen = sentences(f"{seed}-sentences", count, avoid=said)
        said.update(sentence.text for sentence in chosen)
        script[split] = [
            Line(f"{split}-{number:05d}", sentence, delivery)
            for number, (sentence, delivery) in enumerate(
                zip(chosen, deliveries(split, f"{seed}-voices", count), strict=True)
            )
        ]
    return script
