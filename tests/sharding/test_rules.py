"""Every parameter has logical axes, and every axis a rule."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from jax.sharding import PartitionSpec

from jasr.errors import UserError
from jasr.sharding.compile import Compiled
from jasr.sharding.mesh import make_mesh
from jasr.sharding.rules import DATA_PARALLEL, like_parameters, parameter_shardings


def boxed(*names):
    return {"w": nn.LogicallyPartitioned(jax.ShapeDtypeStruct((4, 8), jnp.float32), names)}


def test_logical_axes_become_mesh_axes():
    mesh = make_mesh(data=1)
    shardings = parameter_shardings(boxed("embed", "mlp"), mesh, {"embed": None, "mlp": "data"})
    assert shardings["w"].spec == PartitionSpec(None, "data")


def test_what_no_rule_covers_is_an_error_with_its_path():
    mesh = make_mesh(data=1)
    with pytest.raises(UserError, match="parameter w has the logical axis 'mpl'"):
        parameter_shardings(boxed("embed", "mpl"), mesh, DATA_PARALLEL)
    with pytest.raises(UserError, match="parameter w has no logical axes"):
        parameter_shardings({"w": jnp.zeros((2, 2))}, mesh, DATA_PARALLEL)


def test_copies_of_parameters_are_placed_like_them():
    mesh = make_mesh(data=1)
    rules = {"embed": None, "mlp": "data"}
    params = {"w": jnp.zeros((4, 8)), "v": jnp.zeros(3)}
    shardings = {"w": parameter_shardings(boxed("embed", "mlp"), mesh, rules)["w"], "v": None}
    shardings["v"] = jax.sharding.NamedSharding(mesh, PartitionSpec())
    state = {"mu": params, "count": jnp.zeros(()), "w": jnp.zeros(7)}
    placed = like_parameters(state, params, shardings, mesh)
    assert placed["mu"]["w"].spec == PartitionSpec(None, "data")
    assert placed["count"].spec == PartitionSpec()
    assert placed["w"].spec == PartitionSpec()


def test_more_devices_than_there_are_is_an_error():
    with pytest.raises(UserError, match=r"config.mesh.data asks for 4096 devices"):
        make_mesh(data=4096)


def test_one_compilation_for_each_shape():
    double = Compiled(lambda scale, x: scale * x, "double")
    for size in (3, 5, 3, 5, 3):
        assert double(2.0, jnp.ones(size)).sum() == 2 * size
    assert double.count == 2
