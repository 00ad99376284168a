"""What somebody wants, and the details of it: an intent and slots."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from jasr.corpora.corpus import Utterance
from jasr.tasks.frames import count_matches, f1_figures, read_phrases, write_phrases
from jasr.tasks.task import Written
from jasr.text.error_counts import count_character_errors, count_word_errors

INTENT = "intent="


@dataclasses.dataclass(frozen=True)
class Slots(Written):
    """An intent and its slots' phrases: <intent=order> please <size> small <drink> mocha.

    The intent's phrase is always PLEASE, since behind a name stands a phrase; slots come in the
    order of their names.

    intent, column: of the corpus's labels: a name, and {slot: phrase}.
    names:          of the intents, each behind `INTENT`, and the slots; found in the training data.

    SLU-F1 counts a slot of the right name as right, and its phrase's word error rate, and in turn
    its character error rate, as false on either side: Bastianelli et al. 2020, "SLURP: a spoken
    language understanding resource package", section 4.2. In thousandths, to stay whole numbers.
    """

    columns = (
        "slu_f1_error",
        "slu_f1",
        "f1",
        "precision",
        "recall",
        "intent_accuracy",
        "malformed",
    )

    intent: str = "intent"
    column: str = "slots"
    names: tuple[str, ...] = ()

    def label(self, utterance: Utterance) -> Any:
        intent, slots = utterance.labels.get(self.intent), utterance.labels.get(self.column)
        if intent is None or slots is None:
            return None
        return {INTENT + intent: PLEASE, **dict(sorted(slots.items()))}

    def names_in(self, label: Any) -> Iterable[str]:
        return label

    def write(self, label: Any) -> str:
        return write_phrases(label.items())

    def read(self, text: str) -> Any:
        return read_phrases(text, self.names)

    def count(self, label: Any, predicted: Any) -> Counter[str]:
        (intent, wanted), (guessed, found) = _parts(label), _parts(predicted or {})
        counts = count_matches(set(wanted.items()), set(found.items()), malformed=predicted is None)
        counts["right_intents"] = int(intent == guessed)
        for name, phrase in wanted.items():
            if name in found:
                words = count_word_errors(phrase, found[name]).rate
                characters = count_character_errors(phrase, found[name]).rate
                counts["slu_right"] += 2 * THOUSANDTHS
                counts["slu_false"] += round(THOUSANDTHS * 2 * (words + characters))
            else:
                counts["slu_false"] += 2 * THOUSANDTHS
        counts["slu_false"] += 2 * THOUSANDTHS * len(found.keys() - wanted.keys())
        return counts

    def figures(self, counts: Mapping[str, int]) -> dict[str, float]:
        right, false = counts["slu_right"], counts["slu_false"]
        slu_f1 = 2 * right / max(2 * right + false, 1)
        return {
            "slu_f1_error": 1 - slu_f1,
            "slu_f1": slu_f1,
            **f1_figures(counts),
            "intent_accuracy": counts["right_intents"] / max(counts["utterances"], 1),
        }


PLEASE = "please"
THOUSANDTHS = 1000


def _parts(label: Mapping[str, str]) -> tuple[str | None, dict[str, str]]:
    """The intent of a label, the first if there are several, and its slots."""
    intents = [name for name in label if name.startswith(INTENT)]
    slots = {name: phrase for name, phrase in label.items() if not name.startswith(INTENT)}
    return (intents[0] if intents else None), slots
