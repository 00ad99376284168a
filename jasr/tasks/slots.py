"""What somebody wants, and the details of it: an intent and slots."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rapidfuzz.distance import Levenshtein

from jasr.corpora.corpus import Utterance
from jasr.tasks.columns import read_name, read_phrases
from jasr.tasks.frames import count_matches, f1_figures, normalized, read_line, write_phrases
from jasr.tasks.task import Written
from jasr.text.error_counts import count_word_errors

INTENT = "intent="


@dataclasses.dataclass(frozen=True)
class Slots(Written):
    """An intent and its slots' phrases: <intent=order> please <drink> mocha <size> small.

    The intent's phrase is always PLEASE, since behind a name stands a phrase; slots come in the
    order of their names. A line without an intent, or of several, is malformed.

    intent, column: of the corpus's labels: a name, and {slot: phrase}.
    names:          of the intents, each behind `INTENT`, and the slots; found in the training data.
    normalizer:     of the phrases, as of the transcript.

    SLU-F1 counts a slot of the right name as right, and its phrase's word error rate, and in turn
    its character errors over the longer of the two phrases, as false on either side: Bastianelli et
    al. 2020, "SLURP: a spoken language understanding resource package", section 4.2, and their
    evaluation's distances. In thousandths, to stay whole numbers.
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
    normalizer: str = "basic-v1"

    def label(self, utterance: Utterance) -> Any:
        intent, slots = read_name(utterance, self.intent), read_phrases(utterance, self.column)
        if intent is None or slots is None:
            return None
        return {
            "intent": intent,
            "slots": normalized(sorted(slots.items()), self.normalizer),
        }

    @property
    def openers(self) -> Sequence[str]:
        return tuple(name for name in self.names if name.startswith(INTENT))

    def names_in(self, label: Any) -> Iterable[str]:
        return INTENT + label["intent"], *label["slots"]

    def write(self, label: Any) -> str:
        return write_phrases([(INTENT + label["intent"], PLEASE), *label["slots"].items()])

    def read(self, text: str) -> Any:
        phrases = read_line(text, self.names) or {}
        intents = [name for name in phrases if name.startswith(INTENT)]
        if len(intents) != 1:
            return None
        slots = {name: phrase for name, phrase in phrases.items() if name not in intents}
        return {"intent": intents[0].removeprefix(INTENT), "slots": slots}

    def count(self, label: Any, predicted: Any) -> Counter[str]:
        answer = predicted or {"intent": None, "slots": {}}
        wanted, found = label["slots"], answer["slots"]
        counts = count_matches(set(wanted.items()), set(found.items()), malformed=predicted is None)
        counts["right_intents"] = int(label["intent"] == answer["intent"])
        for name, phrase in wanted.items():
            if name in found:
                words = count_word_errors(phrase, found[name]).rate
                characters = Levenshtein.normalized_distance(phrase, found[name])
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
