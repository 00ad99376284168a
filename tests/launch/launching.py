"""Runs the entry points as a user does: each in a process of its own, from the repository."""

import json
import os
import subprocess
import sys
from pathlib import Path

from launch.cpu_devices import cpu_devices

ROOT = Path(__file__).resolve().parents[2]


def start(module: str, *flags: str, devices: int = 1, new_group: bool = False) -> subprocess.Popen:
    """`python -m launch.MODULE FLAGS`.

    new_group: it leads a process group of its own.
    """
    return subprocess.Popen(
        [sys.executable, "-m", f"launch.{module}", *flags],
        cwd=ROOT,
        env=os.environ | cpu_devices(devices) | {"PYTHONPATH": _python_path()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=new_group,
    )


def _python_path() -> str:
    """Without PyTorch, which takes seconds to import, and which no user needs."""
    given = os.environ.get("PYTHONPATH")
    return os.pathsep.join(filter(None, [given, str(Path(__file__).parent / "without_torch")]))


def launch(module: str, *flags: str, devices: int = 1) -> str:
    """What the entry point printed; fails the test if it did not end well."""
    process = start(module, *flags, devices=devices)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, f"{out}\n{err}"
    return out


def refuse(module: str, *flags: str, devices: int = 1) -> str:
    """The one line with which the entry point refuses; fails if it does not, or says more."""
    process = start(module, *flags, devices=devices)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 1, f"{out}\n{err}"
    assert "Traceback" not in err, err
    lines = [line for line in err.splitlines() if line.strip()]
    return lines[-1]


def metrics(workdir: Path) -> list[dict]:
    """The lines of a run's metrics."""
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
