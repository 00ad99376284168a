"""Every parameter has logical axes, every axis a rule; presets give one training."""

import json
import os
import subprocess
import sys
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from jasr.errors import UserError
from jasr.layers.linear import Linear
from jasr.sharding.compile import Compiled
from jasr.sharding.mesh import make_mesh
from jasr.sharding.placement import Placement
from jasr.sharding.presets import DATA_PARALLEL, FSDP_TENSOR, PRESETS
from launch.cpu_devices import cpu_devices

ROOT = Path(__file__).resolve().parents[2]


def boxed(*names):
    return {"w": nn.LogicallyPartitioned(jax.ShapeDtypeStruct((4, 8), jnp.float32), names)}


@pytest.fixture
def placement():
    return Placement(make_mesh(), FSDP_TENSOR)


def test_logical_axes_become_mesh_axes(placement):
    assert placement.parameters(boxed("embed", "mlp"))["w"].spec == PartitionSpec("fsdp", "tensor")
    assert placement.rows.spec == PartitionSpec(("data", "fsdp"))


def test_what_no_rule_covers_is_an_error_with_its_path(placement):
    with pytest.raises(UserError, match="parameter w has the logical axis 'mpl'"):
        placement.parameters(boxed("embed", "mpl"))
    with pytest.raises(UserError, match="parameter w has no logical axes"):
        placement.parameters({"w": jnp.zeros((2, 2))})
    layer = nn.Sequential([Linear((3,), ("embed",), ("mpl",))])
    with placement.active(), pytest.raises(UserError, match=r"activation of layers_0 .*'mpl'"):
        jax.eval_shape(layer.init, jax.random.key(0), jnp.zeros((2, 5, 4)))


def test_presets_differ_in_little_and_name_ten_axes():
    for rules in PRESETS.values():
        assert rules.keys() == DATA_PARALLEL.keys()
        assert len(rules) <= 10


def test_copies_of_parameters_are_placed_like_them(placement):
    params = {"w": jnp.zeros((4, 8)), "v": jnp.zeros(3)}
    shardings = placement.parameters(boxed("embed", "mlp")) | {"v": placement.replicated}
    state = {"mu": params, "count": jnp.zeros(()), "w": jnp.zeros(7)}
    placed = placement.like_parameters(state, params, shardings)
    assert placed["mu"]["w"].spec == PartitionSpec("fsdp", "tensor")
    assert placed["count"].spec == PartitionSpec()
    assert placed["w"].spec == PartitionSpec()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"data": 4096}, "asks for 4096 devices"),
        ({"data": 0, "fsdp": 0}, "0 for one axis at most"),
        ({"fsdp": -1}, "expected sizes from 1"),
        ({"preset": "fdsp"}, "did you mean 'fsdp'"),
    ],
)
def test_a_mesh_that_cannot_be_is_an_error(config, message):
    with pytest.raises(UserError, match=message):
        Placement.from_config({"preset": "data_parallel", **config})


def test_one_compilation_for_each_shape():
    double = Compiled(jax.jit(lambda scale, x: scale * x), "double", place=jnp.asarray)
    for size in (3, 5, 3, 5, 3):
        assert double(2.0, double.place(np.ones(size))).sum() == 2 * size
    assert double.count == 2


_EIGHT_DEVICES = """
import json
import math
import sys
import jax
import numpy as np
from jasr.errors import UserError
from jasr.sharding.placement import Placement
from tiny_training import Training, noise_batch

def refusal(preset, **mesh):
    try:
        Training(preset=preset, mesh=mesh)
    except UserError as error:
        return str(error)

assert "splits nothing over it" in refusal("fsdp", fsdp=4, tensor=2)
assert "cannot be split evenly over 8" in refusal("fsdp_tensor", tensor=8)
assert "which 3 does not divide" in refusal("fsdp", data=0, fsdp=3)

for algorithm, preset, mesh in json.loads(sys.argv[1]):
    training = Training(preset=preset, mesh=mesh, algorithm=algorithm)
    state, losses = training.state(), []
    step = training.step()
    for number in range(2):
        state, metrics = step(state, training.place(noise_batch(seed=number)))
        losses.append([float(metrics["loss"]), float(metrics["gradient_norm"])])
    leaf = jax.tree.leaves(state.params)[0]
    assert len(leaf.sharding.device_set) == math.prod(mesh.values())
    held = sum(leaf.addressable_shards[0].data.size for leaf in jax.tree.leaves(state))
    total = sum(leaf.size for leaf in jax.tree.leaves(state))
    norms = [float(np.linalg.norm(leaf)) for leaf in jax.tree.leaves(state.params)]
    print(json.dumps({"losses": losses, "norms": norms, "held": held / total}))
"""

# The share of the state that a device may hold: biases and norms are small, and seldom split.
MESHES = [
    ("data_parallel", {}, 1.0),
    ("data_parallel", {"data": 8}, 1.0),
    ("fsdp", {"data": 2, "fsdp": 4}, 0.3),
    ("fsdp_tensor", {"data": 2, "fsdp": 2, "tensor": 2}, 0.35),
]
# Muon's matrices of one shape are one stack, split in every way by the last of the meshes.
RUNS = [("adamw", number) for number in range(len(MESHES))] + [("muon", 0), ("muon", 3)]
SPLIT = [run for run in RUNS if run[1]]


@pytest.fixture(scope="module")
def runs():
    asked = [(algorithm, *MESHES[number][:2]) for algorithm, number in RUNS]
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "training")])
    environment = os.environ | cpu_devices(8) | {"PYTHONPATH": path}
    finished = subprocess.run(
        [sys.executable, "-c", _EIGHT_DEVICES, json.dumps(asked)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    return dict(zip(RUNS, map(json.loads, finished.stdout.splitlines()), strict=True))


@pytest.mark.parametrize(
    ("algorithm", "number"), SPLIT, ids=[f"{name}-{MESHES[n][:2]}" for name, n in SPLIT]
)
def test_eight_devices_give_one_device_s_training(runs, algorithm, number):
    one, eight = runs[algorithm, 0], runs[algorithm, number]
    np.testing.assert_allclose(eight["losses"], one["losses"], rtol=1e-4)
    np.testing.assert_allclose(eight["norms"], one["norms"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("number", range(len(MESHES)), ids=lambda n: str(MESHES[n][:2]))
def test_the_state_is_split_as_far_as_the_preset_says(runs, number):
    assert runs["adamw", number]["held"] <= MESHES[number][2]
