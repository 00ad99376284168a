"""From a config section to an object, strictly: an unknown or mistyped key is an error."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any

from jasr.errors import UserError, nearest

SCALARS = (int, float, bool, str)


def construct(cls: Any, section: Mapping[str, Any], where: str, **given: Any) -> Any:
    """cls(**section, **given), with the section's keys and plain types checked.

    where: the section's place in the config, for messages, "config.model.encoder" say.
    given: fields that the composition fills, not the config.
    Raises UserError naming the key and the nearest real one.
    """
    fields = {
        field.name: field
        for field in dataclasses.fields(cls)
        if field.init and field.name not in {"parent", "name", *given}
    }
    for key in section:
        if key not in fields:
            raise UserError(f"{where}.{key} is no key of {where}: {nearest(key, fields)}")
    missing = [
        name
        for name, field in fields.items()
        if name not in section
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise UserError(f"{where} lacks the key {missing[0]!r}, which {_title(cls)} needs")
    hints = typing.get_type_hints(cls)
    values = {}
    for key, value in section.items():
        values[key] = tuple(value) if isinstance(value, list) else value
        _check_type(values[key], hints[key], f"{where}.{key}")
    return cls(**values, **given)


def construct_named(
    registry: Mapping[str, Any], section: Mapping[str, Any], where: str, **given: Any
) -> Any:
    """Like construct; the section's `name` chooses the class from a registry."""
    if "name" not in section:
        raise UserError(f"{where} lacks the key 'name': {nearest('', registry)}")
    name = section["name"]
    if name not in registry:
        raise UserError(f"{where}.name {name!r} is unknown: {nearest(name, registry)}")
    rest = {key: value for key, value in section.items() if key != "name"}
    return construct(registry[name], rest, where, **given)


def _check_type(value: Any, hint: Any, where: str) -> None:
    """Checks scalars and tuples of them; a structured field checks itself when it is built."""
    if typing.get_origin(hint) is tuple and typing.get_args(hint)[1:] == (...,):
        _check_parts(value, typing.get_args(hint)[0], where)
        return
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    choices = typing.get_args(hint) if is_union else (hint,)
    if not all(choice in (*SCALARS, type(None)) for choice in choices):
        return
    if not any(_is(value, choice) for choice in choices):
        expected = " or ".join("nothing" if c is type(None) else c.__name__ for c in choices)
        raise UserError(f"{where} is {value!r}, but it must be {expected}")


def _check_parts(value: Any, hint: Any, where: str) -> None:
    if hint not in SCALARS:
        return
    if not isinstance(value, tuple) or not all(_is(part, hint) for part in value):
        raise UserError(f"{where} is {value!r}, but it must be a tuple of {hint.__name__}")


def _is(value: Any, kind: type) -> bool:
    """A whole number is a fine float, but True is no number."""
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, kind) or (kind is float and isinstance(value, int))


def _title(cls: Any) -> str:
    return getattr(cls, "__name__", str(cls))
