"""Bytes and collectives read off compiled programs whose answer is known."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from jasr.planning.hlo import Program
from jasr.planning.traffic import collective_bytes, memory_bytes
from launch.cpu_devices import cpu_devices

ROOT = Path(__file__).resolve().parents[2]
LAYERS, WIDTH, ROWS = 6, 256, 32


def looped(w, x):
    return jax.lax.scan(lambda x, w: (jnp.tanh(x @ w), None), x, w)[0]


def unrolled(w, x):
    for layer in range(LAYERS):
        x = jnp.tanh(x @ w[layer])
    return x


def compiled(function):
    w = jax.ShapeDtypeStruct((LAYERS, WIDTH, WIDTH), jnp.float32)
    return jax.jit(function).lower(w, jax.ShapeDtypeStruct((ROWS, WIDTH), jnp.float32)).compile()


def test_a_loop_s_bytes_count_as_often_as_it_runs():
    weights = 4 * LAYERS * WIDTH * WIDTH
    moved = memory_bytes(Program.parse(compiled(looped).as_text()))
    assert weights < moved < 2 * weights + 4 * 40 * LAYERS * ROWS * WIDTH


def test_without_loops_the_bytes_are_near_xla_s_own_count():
    program = compiled(unrolled)
    ours = memory_bytes(Program.parse(program.as_text()))
    assert ours == pytest.approx(program.cost_analysis()["bytes accessed"], rel=0.25)


_COLLECTIVES = """
import json
import jax, jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jasr.planning.hlo import Program
from jasr.planning.traffic import collective_bytes

mesh = jax.make_mesh((4,), ("fsdp",), axis_types=(AxisType.Auto,))

def loss(w, x):
    return jnp.mean(jax.lax.scan(lambda x, w: (jnp.tanh(x @ w), None), x, w)[0] ** 2)

def placed(shape, *axes):
    sharding = NamedSharding(mesh, PartitionSpec(*axes))
    return jax.ShapeDtypeStruct(shape, jnp.float32, sharding=sharding)

for w_axes in ((), (None, "fsdp")):
    w, x = placed((6, 256, 256), *w_axes), placed((32, 256), "fsdp")
    step = jax.jit(lambda w, x: w - jax.grad(loss)(w, x), out_shardings=w.sharding)
    text = step.lower(w, x).compile().as_text()
    print(json.dumps(dict(collective_bytes(Program.parse(text)))))
"""


def test_collectives_are_those_of_the_strategy():
    """Data parallel sums gradients; fsdp gathers weights twice, and sums gradients too."""
    finished = subprocess.run(
        [sys.executable, "-c", _COLLECTIVES],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | cpu_devices(4),
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    data_parallel, fsdp = map(json.loads, finished.stdout.splitlines())
    weights = 4 * LAYERS * WIDTH * WIDTH
    assert data_parallel["all-reduce"] == pytest.approx(2 * weights * 3 / 4, rel=0.01)
    assert fsdp["all-gather"] == pytest.approx(2 * weights * 3 / 4, rel=0.01)
    assert sum(fsdp.values()) >= 2.9 * weights * 3 / 4


def test_a_program_on_one_device_sends_nothing():
    assert collective_bytes(Program.parse(compiled(looped).as_text())) == {}
