"""Compiled programs are kept between processes."""

import os
import subprocess
import sys

PROGRAM = """
import logging
from launch.main import run

def main(_):
    import jax
    logging.getLogger("jax._src.compiler").setLevel(logging.DEBUG)
    logging.getLogger("jax._src.compiler").addHandler(logging.StreamHandler())
    print(jax.jit(lambda x: x + 1)(1))

run(main)
"""


def run_program(cache):
    environment = os.environ | {
        "XDG_CACHE_HOME": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    return subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
    )


def test_what_one_process_compiled_the_next_one_finds(tmp_path):
    first, second = run_program(tmp_path), run_program(tmp_path)
    assert list((tmp_path / "jasr" / "xla").glob("jit__lambda*"))
    assert "cache hit for 'jit__lambda'" not in first.stderr
    assert "cache hit for 'jit__lambda'" in second.stderr
    assert first.stdout == second.stdout == "2\n"


def test_an_entry_cut_short_is_compiled_again(tmp_path):
    first = run_program(tmp_path)
    for entry in (tmp_path / "jasr" / "xla").glob("*-cache"):
        entry.write_bytes(entry.read_bytes()[:50])
    assert run_program(tmp_path).stdout == first.stdout
