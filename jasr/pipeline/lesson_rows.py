"""Lessons of a corpus as rows of batches, cut and padded to the shapes of each bucket."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from jasr.corpora.lessons import Lessons
from jasr.pipeline.buckets import Bucket


class Room(NamedTuple):
    """What a row holds of one array of a lesson, padding included."""

    shape: tuple[int, ...]
    dtype: np.dtype


@dataclass(frozen=True, eq=False)
class LessonRows:
    """What teachers made of a corpus, as rows of batches.

    rooms: of each bucket, by name, those that are read.
    """

    lessons: Lessons
    rooms: Mapping[Bucket, Mapping[str, Room]]

    def empty(self, bucket: Bucket, num_rows: int) -> dict[str, np.ndarray]:
        """Arrays [num_rows, ...] of zeros."""
        rooms = self.rooms[bucket]
        return {name: np.zeros((num_rows, *room.shape), room.dtype) for name, room in rooms.items()}

    def fill(self, arrays: Mapping[str, np.ndarray], row: int, index: int, speed: float) -> None:
        """Puts what is known of utterance `index` at this speed in its row."""
        found = self.lessons.read(index, speed, arrays)
        for name, rows in arrays.items():
            values = found[name][_within(rows.shape[1:])]
            rows[row][_within(values.shape)] = values


def _within(shape: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(size) for size in shape)
