"""The package as a whole: what importing it costs, and what it leaves alone."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

_IMPORT_ALL = """
import importlib, pkgutil
import jasr, configs, launch.main
for package in (jasr, configs):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
"""


def run(program: str, **environment: str) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr


def test_importing_jasr_imports_nothing_heavy():
    run("import sys, jasr; assert not {'jax', 'numpy', 'flax'} & sys.modules.keys()")


def test_no_module_starts_a_backend_when_imported():
    """With a platform that does not exist, starting a backend would raise."""
    run(_IMPORT_ALL, JAX_PLATFORMS="no_such_platform")


def test_training_needs_neither_pytorch_nor_tensorflow():
    run(
        # A module that is None in sys.modules cannot be imported.
        "import sys; sys.modules |= dict.fromkeys(('torch', 'transformers'))\n"
        + _IMPORT_ALL
        + "assert 'tensorflow' not in sys.modules",
        JAX_PLATFORMS="cpu",
    )


def test_the_worked_example_of_a_task_fits_the_code():
    text = (ROOT / "docs" / "adding_a_task.md").read_text()
    diff = text.split("```diff\n")[1].split("```")[0]
    checked = subprocess.run(
        ["git", "apply", "--check", "-"], cwd=ROOT, input=diff, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr
    added = [line for line in diff.splitlines() if line.startswith("+") and line[:3] != "+++"]
    assert f"all of it, {len(added)} lines" in text
