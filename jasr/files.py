"""Files that are either whole or not there."""

import os
from pathlib import Path

from jasr.errors import UserError


def write_whole(path: Path, content: str | bytes) -> None:
    """Replaces the file at `path` at once, making its folder; text is written in UTF-8.

    Raises UserError, leaving what was at `path` as it was, if the disk is full or the folder
    cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(part, "wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror}; free space or choose a folder that you may "
            "write to, then run the same command again"
        ) from error
