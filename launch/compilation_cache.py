"""Compiled programs kept between runs: a resumed run, or an evaluation, need not compile again."""

import os
from pathlib import Path


def use_compilation_cache() -> None:
    """Keeps compiled programs in the user's cache folder, unless JAX is told where already.

    JAX reads the variable when it is imported. An entry's key holds the program, JAX's version
    and the machine's kind; one that cannot be read is compiled again.
    """
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(caches / "jasr" / "xla"))
