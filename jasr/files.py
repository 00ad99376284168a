"""Files that are either whole or not there, and rows of them as JSON lines."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jasr.errors import UserError, first_line


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


def write_json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Replaces the file at `path` by one JSON object a line; raises UserError as write_whole."""
    write_whole(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def read_json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Objects and the lines they stand on, counted from 1; empty lines are passed over.

    Raises UserError, with file and line, for what is no UTF-8 text or no JSON object.
    """
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(
                f"{path}:{number}: not JSON: {error.msg} (column {error.colno})"
            ) from error
        except ValueError as error:
            raise UserError(f"{path}:{number}: cannot be read: {first_line(error)}") from error
        if not isinstance(record, dict):
            raise UserError(f"{path}:{number}: expected a JSON object, found {line.strip()[:40]!r}")
        yield number, record


def read_lines(path: Path) -> list[str]:
    """Lines of a UTF-8 text, with or without a byte order mark; raises UserError for others."""
    try:
        return path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8"
        ) from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
