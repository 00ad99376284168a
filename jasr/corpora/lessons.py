"""What teachers made of every utterance of a corpus: computed once, kept, and read one by one.

    FOLDER/
        lessons.array_record   arrays by name, an utterance at one speed a record
        places.npy             [speeds, utterances of the corpus], its record; -1 where it has none
        lessons.json           of what speeds, teachers and utterances they are

A folder of this name is complete: it appears by one rename when everything is in it.
"""

import io
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from array_record.python.array_record_data_source import ArrayRecordDataSource
from array_record.python.array_record_module import ArrayRecordWriter

from jasr.errors import UserError, first_line

RECORDS, PLACES, DESCRIPTION = "lessons.array_record", "places.npy", "lessons.json"
Arrays = dict[str, np.ndarray]


class Lessons:
    """The lessons of a folder; pickles as the folder."""

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)

    def __reduce__(self):
        return Lessons, (self.folder,)

    @cached_property
    def description(self) -> dict[str, Any]:
        """What `write_lessons` was told, "speeds" too. Raises UserError where there is nothing."""
        try:
            found: dict[str, Any] = json.loads((self.folder / DESCRIPTION).read_text())
        except (OSError, ValueError) as error:
            raise UserError(
                f"{self.folder} holds no lessons ({error}): expected a folder that launch.teach "
                f"wrote"
            ) from error
        return found

    def read(self, index: int, speed: float, names: Iterable[str]) -> Arrays:
        """Arrays of utterance `index` of the corpus, so many times as fast as it was recorded.

        Raises UserError where it has none, or is damaged.
        """
        try:
            place = int(self._places[self._speeds[speed], index])
            content = self._records[place] if place >= 0 else b""
            if content:
                with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                    return {name: arrays[name] for name in names}
        # The readers' own errors are many, and have no common base below Exception.
        except Exception as error:
            raise UserError(
                f"its lesson in {self.folder} is damaged ({first_line(error)}): delete the folder "
                f"and run launch.teach again"
            ) from error
        raise UserError(f"its teachers could not hear it when {self.folder} was written")

    @cached_property
    def _speeds(self) -> dict[float, int]:
        return {speed: place for place, speed in enumerate(self.description["speeds"])}

    @cached_property
    def _places(self) -> np.ndarray:
        return np.load(self.folder / PLACES, allow_pickle=False)

    @cached_property
    def _records(self) -> ArrayRecordDataSource:
        return ArrayRecordDataSource(str(self.folder / RECORDS))


def refuse_existing(folder: Path) -> None:
    """Raises UserError where lessons cannot be written, as something is there already."""
    if folder.exists():
        raise UserError(f"{folder} is there already: delete it, or give another folder")


def write_lessons(
    folder: Path,
    lessons: Iterable[tuple[int, float, Arrays]],
    *,
    num_utterances: int,
    speeds: Sequence[float],
    description: Mapping[str, Any],
) -> int:
    """Writes lessons, by the utterances' places in the corpus and their speeds; returns how many.

    Raises UserError where the folder is there already, or cannot be written.
    """
    refuse_existing(folder)
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    places = np.full((len(speeds), num_utterances), -1, np.int64)
    count = 0
    try:
        part.mkdir(parents=True)
        writer = ArrayRecordWriter(str(part / RECORDS), "group_size:1")
        for index, speed, arrays in lessons:
            buffer = io.BytesIO()
            np.savez(buffer, allow_pickle=False, **arrays)
            writer.write(buffer.getvalue())
            places[speeds.index(speed), index], count = count, count + 1
        writer.close()
        np.save(part / PLACES, places)
        described = {**description, "speeds": list(speeds)}
        (part / DESCRIPTION).write_text(json.dumps(described, indent=2) + "\n")
        part.rename(folder)
    except OSError as error:
        raise UserError(
            f"cannot write {folder}: {error.strerror}; free space, then run the same command again"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return count
