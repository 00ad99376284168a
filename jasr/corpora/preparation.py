"""Preparing a corpus: all of it or nothing, however it ends."""

import contextlib
import fcntl
import io
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from absl import logging

from jasr.corpora.builder import SpeechBuilder, SpeechConfig
from jasr.corpora.prepared import (
    PROBLEMS_FILE,
    SOURCE_FILE,
    read_index,
    read_problems,
    splits_of,
    write_index,
)
from jasr.corpora.source import Source
from jasr.errors import UserError
from jasr.files import write_json_lines

STAGING = "incomplete"


@dataclass(frozen=True)
class Preparation:
    """What was done, and what lies in `folder` now; `splits` maps to (utterances, hours)."""

    folder: Path
    action: str
    splits: Mapping[str, tuple[int, float]]
    num_problems: int

    def summary(self) -> str:
        """One line for people."""
        splits = ", ".join(
            f"{split} {count} utterances ({hours:.2f} h)"
            for split, (count, hours) in self.splits.items()
        )
        problems = (
            f"; {self.num_problems} recordings could not be read: see {self.folder / PROBLEMS_FILE}"
            if self.num_problems
            else ""
        )
        return f"{self.action} {self.folder}: {splits}{problems}"


def prepare(
    source: Source, folder: Path, *, sample_rate: int, description: Mapping[str, Any]
) -> Preparation:
    """Prepares `source` into `folder`, where not done already; a changed source is prepared anew.

    folder:      DATA_DIR/jasr/NAME/VERSION.
    description: what distinguishes the preparation beside the source's own fingerprint, JSON-able.
    Raises UserError where nothing can be read or the disk refuses; what lay there before stays.
    """
    described = {**description, "fingerprint": source.fingerprint()}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.parent / ".lock"):
            action = "prepared"
            if folder.is_dir():
                if read_source(folder) == described:
                    return already_prepared(folder)
                action = "prepared again"
                logging.warning("%s was prepared from something else: preparing again", folder)
            _prepare_anew(source, folder, sample_rate=sample_rate, described=described)
    except OSError as error:
        raise UserError(
            f"{folder} could not be prepared: {error}; what lay there before is untouched"
        ) from error
    return _report(folder, action)


def already_prepared(folder: Path) -> Preparation:
    """What was prepared into the folder before."""
    return _report(folder, "already prepared:")


def read_source(folder: Path) -> dict[str, Any]:
    """What a prepared corpus was prepared from."""
    try:
        return json.loads((folder / SOURCE_FILE).read_text())
    except (OSError, ValueError):
        return {}


def _prepare_anew(
    source: Source, folder: Path, *, sample_rate: int, described: Mapping[str, Any]
) -> None:
    staging = folder.parent / STAGING
    shutil.rmtree(staging, ignore_errors=True)
    try:
        config = SpeechConfig(name=folder.parent.name, sample_rate=sample_rate, source=source)
        with _quiet_tfds():
            builder = SpeechBuilder(data_dir=staging, config=config)
            _write_records(builder)
        written = Path(builder.data_dir)
        for split, utterances in builder.utterances.items():
            write_index(written, split, utterances)
        write_json_lines(
            written / PROBLEMS_FILE,
            (
                {"split": split, "id": problem.id, "reason": problem.reason}
                for split, problems in builder.problems.items()
                for problem in problems
            ),
        )
        (written / SOURCE_FILE).write_text(json.dumps(described, indent=2) + "\n")
        if folder.exists():
            folder.rename(staging / "replaced")
        written.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write_records(builder: SpeechBuilder) -> None:
    try:
        builder.download_and_prepare()
    except RuntimeError as error:
        # How ArrayRecord's writer reports what the disk refused.
        refused = re.search(r"write\(\) failed: ([^;]+)", str(error))
        if refused is None:
            raise
        raise OSError(refused[1]) from error


def _report(folder: Path, action: str) -> Preparation:
    indexes = {split: read_index(folder, split) for split in splits_of(folder)}
    return Preparation(
        folder=folder,
        action=action,
        splits={
            split: (len(index), sum(utterance.duration for utterance in index) / 3600)
            for split, index in indexes.items()
        },
        num_problems=sum(1 for _ in read_problems(folder)),
    )


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Two preparations of one corpus take turns; the second finds it done."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _quiet_tfds() -> Iterator[None]:
    """TFDS speaks of downloads and shows bars for shuffling: we show one bar a split."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.set_verbosity(verbosity)
        tfds.enable_progress_bar()
