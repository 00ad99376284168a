"""The one error a user sees: what is wrong, where, what was expected, how to mend it.

Entry points print its message as one line and exit; anything else that is raised is our bug.
"""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the user gave cannot be used; the message is one complete line."""


class Preempted(Exception):
    """The machine is being taken away; all is saved, and the same command goes on later."""


class HostLost(Exception):
    """Another process of this run has stopped; the same command on all hosts goes on later."""


def nearest(name: str, choices: Iterable[str]) -> str:
    """'did you mean X?' for a misspelt name, else the list of choices."""
    choices = sorted(choices)
    close = difflib.get_close_matches(name, choices, n=1)
    return f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(choices)}"


def first_line(error: Exception) -> str:
    """What another library's error says first, or its kind where it says nothing."""
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
