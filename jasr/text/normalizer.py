"""Text normalisation before training and scoring, by versioned name.

The name goes with every score: what a name does never changes, a change gets a new name.
"""

import re
import unicodedata
from collections.abc import Callable
from functools import cache

from jasr.errors import UserError, nearest


def normalizer(name: str) -> Callable[[str], str]:
    """The normaliser of a name, "verbatim-v1" or "basic-v1"; raises UserError for another."""
    if name not in NORMALIZERS:
        raise UserError(f"normaliser {name!r} is unknown: {nearest(name, NORMALIZERS)}")
    return NORMALIZERS[name]


def verbatim_v1(text: str) -> str:
    """White space collapsed to single spaces, none at the ends; nothing else changes."""
    return " ".join(text.split())


def basic_v1(text: str) -> str:
    """Compatibility forms (NFKC), lower case, letters, digits, marks and word-inner apostrophes.

    Every other punctuation mark and symbol becomes a space: "Well-known; it's 5 o'clock!" is
    "well known it's 5 o'clock".
    """
    text = unicodedata.normalize("NFKC", text).translate(_APOSTROPHES).lower()
    text = "".join(" " if _separates(character) else character for character in text)
    return verbatim_v1(_OUTER_APOSTROPHE.sub(" ", text))


NORMALIZERS: dict[str, Callable[[str], str]] = {
    "verbatim-v1": verbatim_v1,
    "basic-v1": basic_v1,
}

# The typographer's and the modifier letter; the characters that no one sees (soft hyphen,
# zero-width space, byte order mark) go.
_APOSTROPHES = str.maketrans("\u2019\u02bc", "''", "\u00ad\u200b\ufeff")
_OUTER_APOSTROPHE = re.compile(r"(?<!\w)'|'(?!\w)")


@cache
def _separates(character: str) -> bool:
    return character != "'" and unicodedata.category(character)[0] in "PS"


def units_apart(text: str) -> str:
    """A text's characters one by one, as words stand; spaces are none of them."""
    return " ".join(text.replace(" ", ""))
