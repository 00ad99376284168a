"""Result files, which are either whole or not there."""

import os
from pathlib import Path

from jasr.errors import UserError


def write_text(path: Path, text: str) -> None:
    """Replaces the file at `path` by `text` in UTF-8 at once, making its folder.

    Raises UserError, leaving what was at `path` as it was, if the disk is full or the folder
    cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(part, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror}; free space or choose a folder that you may "
            "write to, then run the evaluation again"
        ) from error
