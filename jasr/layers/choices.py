"""Naming one of several: the error for a name that is not among them."""

from collections.abc import Mapping
from typing import TypeVar

from jasr.errors import UserError, nearest

Choice = TypeVar("Choice")


def choose(choices: Mapping[str, Choice], name: str, *, key: str) -> Choice:
    """The choice called `name`; UserError naming the configuration key if there is none."""
    if name not in choices:
        raise UserError(f"{key}: there is no {name!r}; {nearest(name, choices)}")
    return choices[name]
