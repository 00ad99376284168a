"""Sentences of the English Web Treebank with who did what to whom, as texts to be spoken.

    python -m benchmarks.treebank_roles --treebank=../shared/data/text --output=runs/treebank
    python -m launch.prepare --config=configs/multitask.py:treebank --source=runs/treebank

Writes OUTPUT/texts.jsonl: the dev part to train on (nine tenths, each sentence as often as --voices
says, for every line is spoken by a voice of its own) and to validate, and the test part. Sentences
without roles are trained on too, to be transcribed. Of each sentence the first predicate at its
root, or its first; of each of the predicate's arguments the word at its head, as the treebank's
dependency-style annotation has it.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from absl import app, flags

from jasr.files import write_json_lines
from jasr.tasks.frames import ROLES
from jasr.text.normalizer import normalizer

FLAGS = flags.FLAGS
flags.DEFINE_string("treebank", "../shared/data/text", "Where the treebank's two files lie.")
flags.DEFINE_string("output", "runs/treebank", "Folder to write to.")
flags.DEFINE_integer("max_words", 16, "Longer sentences are left out.")
flags.DEFINE_integer("voices", 8, "How many say each sentence that is trained on.", lower_bound=1)

PREDICATE = "V"
VALIDATION_EVERY = 10


def roles_of(sentence: Mapping[str, Any]) -> dict[str, dict[str, Any]] | None:
    """The predicate and its arguments; None where there is no word left of one of them."""
    frames = sentence["frames"]
    if not frames:
        return None
    at_root = [frame for frame in frames if sentence["head"][frame["pred"]] == -1]
    frame = (at_root or frames)[0]
    heads = {PREDICATE: frame["pred"]}
    for head, role in frame["args"]:
        if role in ROLES and head != frame["pred"]:
            heads.setdefault(role, head)
    normalize = normalizer("basic-v1")
    words = {role: normalize(sentence["tokens"][head]) for role, head in heads.items()}
    if len(heads) < 2 or not all(words.values()):
        return None
    return {role: {"phrase": words[role], "span": [head, head + 1]} for role, head in heads.items()}


def rows(path: Path, split: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(path.read_text().splitlines()):
        sentence = json.loads(line)
        if len(sentence["tokens"]) > FLAGS.max_words:
            continue
        is_kept_back = split == "train" and number % VALIDATION_EVERY == 0
        row = {"text": sentence["text"], "split": "validation" if is_kept_back else split}
        roles = roles_of(sentence)
        if roles is not None:
            row["roles"] = roles
        if row["split"] == "train":
            for voice in range(FLAGS.voices):
                yield {"id": f"{sentence['id']}-{voice}", **row}
        elif roles is not None:
            yield {"id": sentence["id"], **row}


def main(_) -> None:
    treebank, output = Path(FLAGS.treebank), Path(FLAGS.output)
    output.mkdir(parents=True, exist_ok=True)
    parts = (("dev", "train"), ("test", "test"))
    found = [
        row
        for part, split in parts
        for row in rows(treebank / f"srl_up_english_ewt_{part}.jsonl", split)
    ]
    write_json_lines(output / "texts.jsonl", found)
    print(f"wrote {len(found)} sentences to {output / 'texts.jsonl'}")


if __name__ == "__main__":
    app.run(main)
