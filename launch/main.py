"""Running an entry point so that a user's mistake ends in one line, not in a stack trace."""

import io
import multiprocessing
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from absl import app, flags, logging
from ml_collections import ConfigDict

from jasr.errors import HostLost, Preempted, UserError, nearest
from launch.compilation_cache import use_compilation_cache

# EX_TEMPFAIL of sysexits.h: the same command, run again, goes on.
RESTART = 75
OVERRIDE = re.compile(r"--?(no)?(?P<flag>\w+?)\.(?P<path>[^=]+)(=.*)?")
# A key of a path: a name, or any text as ["TEXT"]; places in a list, [3], are none.
KEY = re.compile(r"""\[(["'])(?P<quoted>.*?)\1\]|\[\d+\]|(?P<name>[^.\[]+)""")


def run(main: Callable[[Sequence[str]], None]) -> NoReturn:
    """Parses the flags and runs `main(argv)`, argv as absl gives it: what is no flag.

    Ends the process: with 0; with RESTART where it was preempted or lost another host; with 1
    and one line for a UserError or a flag that cannot be used, a misspelt or mistyped
    `--config.x.y` among them.
    """
    use_compilation_cache()
    # A file's name may be no text in the terminal's encoding.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app.run(lambda argv: _run_main(main, argv), flags_parser=_parse_flags)


def _run_main(main: Callable[[Sequence[str]], None], argv: Sequence[str]) -> None:
    try:
        main(argv)
    except Preempted as notice:
        print(notice, file=sys.stderr)
        sys.exit(RESTART)
    except HostLost as loss:
        _end(f"error: {loss}", RESTART)
    except UserError as error:
        _fail(_with_config(str(error)))


def _parse_flags(argv: Sequence[str]) -> Sequence[str]:
    try:
        rest = flags.FLAGS(argv)
        if flags.FLAGS["verbosity"].using_default_value:
            # What libraries tell of their every move would bury the progress line.
            logging.set_verbosity(logging.WARNING)
        _check_configs_loaded(argv)
    except UserError as error:
        _fail(str(error))
    except (flags.Error, KeyError, AttributeError, TypeError, ValueError) as error:
        if "Traceback" in str(error):
            # A config module that fails: its author needs to see where.
            raise
        wrong_override = _find_wrong_override(argv)
        if wrong_override is None and not isinstance(error, flags.Error):
            raise
        _fail(wrong_override or " ".join(str(error).split()))
    return rest


def _check_configs_loaded(argv: Sequence[str]) -> None:
    """ml_collections reports a config file that is not there when it is first looked into."""
    for name in flags.FLAGS:
        try:
            getattr(flags.FLAGS[name].value, "keys", None)
        except OSError as error:
            path = (_given(name, argv) or "").partition(":")[0]
            raise UserError(f"--{name}: {path} cannot be read: expected a config module") from error


def _find_wrong_override(argv: Sequence[str]) -> str | None:
    """What is wrong with the first `--config.x.y=value` that does not fit its config."""
    for override in filter(None, map(OVERRIDE.fullmatch, argv)):
        name = override["flag"]
        given = _given(name, argv)
        if given is not None and name in flags.FLAGS:
            config = flags.FLAGS[name].parser.parse(given)
            wrong = _compare(override[0], override["path"], config)
            if wrong:
                return wrong
    return None


def _given(name: str, argv: Sequence[str]) -> str | None:
    """The last value that the command line gives to a flag."""
    values = [
        value or following
        for argument, following in zip(argv, [*argv[1:], ""], strict=True)
        for flag, _, value in [argument.partition("=")]
        if flag in (f"--{name}", f"-{name}")
    ]
    return values[-1] if values else None


def _compare(override: str, path: str, config: Any) -> str | None:
    where = "config"
    for found in KEY.finditer(path):
        key = found["quoted"] or found["name"]
        if not key:
            continue
        if not isinstance(config, ConfigDict):
            return f"{override}: {where} is {config!r}, which has no keys"
        if found["name"] and not key.isidentifier():
            return f'{override}: no key has such a name; write a pattern as {where}["PATTERN"]'
        if key not in config:
            mend = nearest(key, config) if config else "it is empty"
            more = "; a new pattern goes into the config module" if found["quoted"] else ""
            return f"{override}: {where} has no {key!r}: {mend}{more}"
        where, config = f"{where}.{key}" if found["name"] else f"{where}[{key!r}]", config[key]
    _, given, value = override.partition("=")
    if isinstance(config, ConfigDict):
        return f"{override}: {where} is a section, with {', '.join(config)}: set one of those"
    if given and not _parses_as(value, config):
        return f"{override}: {where} should be of type {type(config).__name__}, as {config!r} is"
    return None


def _parses_as(value: str, current: Any) -> bool:
    try:
        if isinstance(current, bool):
            return value.lower() in ("", "true", "false", "1", "0", "t", "f", "yes", "no", "y", "n")
        if isinstance(current, int | float):
            type(current)(value)
    except ValueError:
        return False
    return True


def _with_config(message: str) -> str:
    """A command to run names the config of this run."""
    given = _given("config", sys.argv)
    return message.replace("--config=CONFIG", f"--config={given}") if given else message


def _fail(message: str) -> NoReturn:
    _end(f"error: {message}", 1)


def _end(line: str, code: int) -> NoReturn:
    """One line, and out: threads of a library that are cut off would print traces after it."""
    print(line, file=sys.stderr, flush=True)
    sys.stdout.flush()
    for child in multiprocessing.active_children():
        child.terminate()
    os._exit(code)
