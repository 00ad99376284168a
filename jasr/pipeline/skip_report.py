"""What was left out of training and why: counted, named, written down once."""

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path

from absl import logging

from jasr.corpora.corpus import Problem


class SkipReport:
    """Collects problems into FOLDER/skipped.jsonl, one line {"id", "reason"} per utterance.

    A training that goes on adds to the file it left; an utterance is never listed twice.
    A folder that cannot be written to costs the file, not the training.
    Of several processes each keeps a file of its own: skipped.jsonl, skipped-1.jsonl, ...

    anew: what an earlier run left there is forgotten.
    """

    def __init__(self, folder: Path | str, *, process_index: int = 0, anew: bool = False):
        suffix = f"-{process_index}" if process_index else ""
        self.path = Path(folder) / f"skipped{suffix}.jsonl"
        if anew:
            with contextlib.suppress(OSError):
                self.path.unlink()
        self._ids = self._listed()

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, problems: Iterable[Problem]) -> None:
        """Writes down what is not listed yet, and logs one line if there is any."""
        new = {p.id: p for p in problems if p.id not in self._ids}
        if not new:
            return
        self._ids |= new.keys()
        self._append(new.values())
        first = next(iter(new.values()))
        logging.warning(
            "skipped %d utterance%s (%d in all); the first, %s: %s; each is named in %s",
            len(new),
            "" if len(new) == 1 else "s",
            len(self),
            first.id,
            first.reason,
            self.path,
        )

    def _listed(self) -> set[str]:
        """Ids in the file; a line cut short by a kill is passed over."""
        ids: set[str] = set()
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except OSError:
            return ids
        for line in lines:
            try:
                ids.add(json.loads(line)["id"])
            except (json.JSONDecodeError, KeyError, TypeError):
                continue
        return ids

    def _append(self, problems: Iterable[Problem]) -> None:
        lines = [json.dumps({"id": p.id, "reason": p.reason}) + "\n" for p in problems]
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            torn = self.path.exists() and not self.path.read_bytes().endswith(b"\n")
            with self.path.open("a", encoding="utf-8") as file:
                file.write("\n" * torn + "".join(lines))
        except OSError as error:
            logging.warning("%s cannot be written (%s); the log names the rest", self.path, error)
