"""Runs the entry points as a user does: each in a process of its own, from the repository."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def start(module: str, *flags: str) -> subprocess.Popen:
    """`python -m launch.MODULE FLAGS`; compiled cheaply, as it runs but a few steps."""
    cheaply = {"XLA_FLAGS": "--xla_backend_optimization_level=0"}
    return subprocess.Popen(
        [sys.executable, "-m", f"launch.{module}", *flags],
        cwd=ROOT,
        env=os.environ | cheaply,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def launch(module: str, *flags: str) -> str:
    """What the entry point printed; fails the test if it did not end well."""
    process = start(module, *flags)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, f"{out}\n{err}"
    return out


def refuse(module: str, *flags: str) -> str:
    """The one line with which the entry point refuses; fails if it does not, or says more."""
    process = start(module, *flags)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 1, f"{out}\n{err}"
    assert "Traceback" not in err, err
    lines = [line for line in err.splitlines() if line.strip()]
    return lines[-1]
