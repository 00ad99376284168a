"""Example orders of the barista grammar, with their slots, as texts to be spoken.

    python -m benchmarks.barista_orders --output=runs/orders

Writes OUTPUT/texts.jsonl, what configs/barista.py:spoken learns from beside the recordings: each
order as often as --voices says, for every line is spoken by a voice of its own. The grammar's
sentences come without their slots: each is found as the longest of its list's phrases.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from absl import app, flags

from jasr.files import write_json_lines

FLAGS = flags.FLAGS
flags.DEFINE_string("grammar", "../shared/data/barista/grammar", "Where the grammar lies.")
flags.DEFINE_string("output", "runs/orders", "Folder to write to.")
flags.DEFINE_integer("voices", 8, "How many say each order.", lower_bound=1)

INTENT = "orderDrink"


def read_phrases(path: Path) -> dict[str, list[str]]:
    """The phrases of each slot."""
    lists = json.loads(path.read_text())["closedLists"]
    return {
        entry["name"]: [
            phrase for sub in entry["subLists"] for phrase in (sub["canonicalForm"], *sub["list"])
        ]
        for entry in lists
    }


def find_slots(text: str, phrases: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The slots of a sentence; a phrase within a longer one of any slot is not found."""
    candidates = [
        (match.start(), match.end(), slot)
        for slot, of_slot in phrases.items()
        for phrase in of_slot
        for match in re.finditer(rf"\b{re.escape(phrase)}\b", text)
    ]
    slots: dict[str, str] = {}
    taken: list[tuple[int, int]] = []
    for start, end, slot in sorted(candidates, key=lambda c: (c[0] - c[1], c[0])):
        if slot not in slots and all(end <= a or start >= b for a, b in taken):
            slots[slot] = text[start:end]
            taken.append((start, end))
    return slots


def main(_) -> None:
    grammar, output = Path(FLAGS.grammar), Path(FLAGS.output)
    phrases = read_phrases(grammar / "barista.json")
    output.mkdir(parents=True, exist_ok=True)
    texts = [text for text in (grammar / "corpus.txt").read_text().splitlines() if text.strip()]
    rows = (
        {"id": f"order-{number:04d}-{voice}", "text": text, "split": "train"}
        | {"intent": INTENT, "slots": find_slots(text, phrases)}
        for voice in range(FLAGS.voices)
        for number, text in enumerate(texts)
    )
    write_json_lines(output / "texts.jsonl", rows)
    print(f"wrote {len(texts)} orders, {FLAGS.voices} times each, to {output / 'texts.jsonl'}")


if __name__ == "__main__":
    app.run(main)
