"""Runs the entry points as a user does: each in a process of its own, from the repository."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

from forker import ROOT, Forker

from launch.cpu_devices import cpu_devices


def start(module: str, *flags: str, devices: int = 1, new_group: bool = False) -> subprocess.Popen:
    """`python -m launch.MODULE FLAGS`.

    new_group: it leads a process group of its own.
    """
    return subprocess.Popen(
        [sys.executable, "-m", f"launch.{module}", *flags],
        cwd=ROOT,
        env=_environment(devices),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=new_group,
    )


def _environment(devices: int) -> dict[str, str]:
    """Without PyTorch, which takes seconds to import, and which no user needs."""
    given = os.environ.get("PYTHONPATH")
    path = os.pathsep.join(filter(None, [given, str(Path(__file__).parent / "without_torch")]))
    return os.environ | cpu_devices(devices) | {"PYTHONPATH": path}


def launch(module: str, *flags: str, devices: int = 1) -> str:
    """What the entry point printed; fails the test if it did not end well."""
    code, out, err = _run(module, *flags, devices=devices)
    assert code == 0, f"{out}\n{err}"
    return out


def pod(module: str, *flags: str, processes: int, devices: int = 1) -> str:
    """What `launch.MODULE` prints, run by several processes."""
    hosts = (f"--processes={processes}", f"--devices={devices}", "--restarts=0")
    return launch("pods.local", *hosts, "--", f"launch.{module}", *flags)


def refuse(module: str, *flags: str, devices: int = 1) -> str:
    """The one line with which the entry point refuses; fails if it does not, or says more."""
    code, out, err = _run(module, *flags, devices=devices)
    assert code == 1, f"{out}\n{err}"
    assert "Traceback" not in err, err
    lines = [line for line in err.splitlines() if line.strip()]
    return lines[-1]


def _run(module: str, *flags: str, devices: int) -> tuple[int, str, str]:
    # With GLIBC_TUNABLES, or each would start itself anew to be given huge pages.
    environment = {"GLIBC_TUNABLES": "", **_environment(devices)}
    return _forker().run(f"launch.{module}", *flags, environment=environment)


@functools.cache
def _forker() -> Forker:
    return Forker(_environment(devices=1))


def metrics(workdir: Path) -> list[dict]:
    """The lines of a run's metrics."""
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
