"""What fails at a checkpoint, in one line that says where, why and the way out."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from jasr.errors import UserError


class DamagedCheckpoint(UserError):
    """A checkpoint that cannot be read: where, its step, and what is wrong."""

    def __init__(self, folder: Path, step: int, what: str):
        super().__init__(
            f"{what}: delete that folder, and the checkpoint before it is the last one"
        )
        self.folder, self.step, self.what = folder, step, what


@contextlib.contextmanager
def named_failures(folder: Path) -> Iterator[None]:
    """Turns a failure to write into one line that says where, and why."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        full = getattr(error, "errno", None) == errno.ENOSPC or "No space left" in text
        reason = "the disk is full: make room and run the same command again" if full else text
        raise UserError(
            f"cannot write a checkpoint in {folder}: {reason}; those finished before it are whole"
        ) from error


@contextlib.contextmanager
def named_damage(folder: Path, step: int) -> Iterator[None]:
    """Turns a failure to read into one line that names the checkpoint and the way out."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise DamagedCheckpoint(
            folder,
            step,
            f"checkpoint {folder / str(step)} is incomplete or damaged "
            f"({' '.join(str(error).split())[:200]})",
        ) from error
