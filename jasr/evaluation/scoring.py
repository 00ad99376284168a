"""Scores of a recogniser on a set of utterances, and the files that keep them.

UtteranceScore, one per utterance ──▶ summarize ──▶ the figures of the whole set
                  │                                        │
                  ▼                                        ▼
       FOLDER/utterances.jsonl                    FOLDER/summary.json
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jasr.errors import UserError
from jasr.files import write_json_lines, write_whole
from jasr.text.error_counts import (
    ErrorCounts,
    count_character_errors,
    count_word_errors,
    error_rate_interval,
)


@dataclass(frozen=True)
class UtteranceScore:
    """What was said, what was recognised, and how they differ; both texts normalised.

    duration: seconds of the recording.
    """

    id: str
    reference: str
    hypothesis: str
    words: ErrorCounts
    characters: ErrorCounts
    duration: float

    def to_dict(self) -> dict[str, Any]:
        """The utterance's line in utterances.jsonl; the counts by kind are of words."""
        return {
            "id": self.id,
            "reference": self.reference,
            "hypothesis": self.hypothesis,
            "words": self.words.length,
            "substitutions": self.words.substitutions,
            "deletions": self.words.deletions,
            "insertions": self.words.insertions,
            "characters": self.characters.length,
            "character_errors": self.characters.errors,
            "duration": self.duration,
        }


def score_utterance(
    id: str,
    reference: str,
    hypothesis: str,
    *,
    normalize: Callable[[str], str],
    duration: float,
) -> UtteranceScore:
    """Counts the errors between the two texts, each normalised first; duration in seconds."""
    reference, hypothesis = normalize(reference), normalize(hypothesis)
    return UtteranceScore(
        id=id,
        reference=reference,
        hypothesis=hypothesis,
        words=count_word_errors(reference, hypothesis),
        characters=count_character_errors(reference, hypothesis),
        duration=duration,
    )


def summarize(
    scores: Sequence[UtteranceScore],
    *,
    normalizer: str,
    decoding: str,
    step: int,
    seconds: float,
    scored: str = "word",
) -> dict[str, Any]:
    """The figures of a set, as summary.json holds them.

    Rates are fractions of the reference's words or characters (0.05 = 5 %); `wer_low` and
    `wer_high` bound the middle 95 % of word error rates under resampling of the utterances.

    normalizer: versioned name of the normaliser.
    decoding:   name of the decoding method.
    step:       training step of the parameters.
    seconds:    wall time that recognition took.
    scored:     what a "word" of the texts is.

    Raises UserError if there is no utterance.
    """
    if not scores:
        raise UserError(
            "nothing to summarise: no utterance of the split was scored; check that it has "
            "transcripts, and audio that can be read"
        )
    zero = ErrorCounts(substitutions=0, deletions=0, insertions=0, length=0)
    words = sum((score.words for score in scores), zero)
    characters = sum((score.characters for score in scores), zero)
    low, high = error_rate_interval([score.words for score in scores])
    return {
        "scored": scored,
        "wer": float(words.rate),
        "wer_low": float(low),
        "wer_high": float(high),
        "cer": float(characters.rate),
        "words": words.length,
        "substitutions": words.substitutions,
        "deletions": words.deletions,
        "insertions": words.insertions,
        "utterances": len(scores),
        "normalizer": normalizer,
        "decoding": decoding,
        "audio_seconds": float(sum(score.duration for score in scores)),
        "seconds": float(seconds),
        "step": int(step),
    }


def write_evaluation(
    folder: Path, scores: Sequence[UtteranceScore], summary: dict[str, Any]
) -> None:
    """Writes utterances.jsonl and then summary.json: where there is a summary, all is there.

    Each file is replaced whole or left as it was. Raises UserError if it cannot be written.
    """
    write_json_lines(folder / "utterances.jsonl", (score.to_dict() for score in scores))
    write_whole(folder / "summary.json", json.dumps(summary, indent=2, allow_nan=False) + "\n")
