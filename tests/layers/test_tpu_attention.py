"""Attention compiled for a TPU slice, by libtpu's compiler alone."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from jasr.layers.attention import attention
from jasr.planning.hlo import Program
from jasr.planning.traffic import collective_bytes
from jasr.sharding.placement import Placement
from jasr.sharding.targets import target_devices

ROWS, FRAMES, HEADS, HEAD_DIM = 8, 1500, 4, 64


@pytest.mark.usefixtures("tpu_compiler")
def test_on_a_slice_each_chip_attends_for_itself_and_keeps_no_weights(monkeypatch):
    monkeypatch.setenv("TPU_SKIP_MDS_QUERY", "1")
    monkeypatch.setenv("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    mesh = {"preset": "fsdp_tensor", "data": 2, "tensor": 2}
    placement = Placement.from_config(mesh, target_devices("v5e:2x2"))
    split = NamedSharding(placement.mesh, PartitionSpec(("data", "fsdp"), None, "tensor"))
    x = jax.ShapeDtypeStruct((ROWS, FRAMES, HEADS, HEAD_DIM), jnp.bfloat16, sharding=split)
    mask = jax.ShapeDtypeStruct((ROWS, FRAMES), jnp.bool, sharding=placement.rows)

    def loss(query, key, value, mask):
        return attention(query, key, value, key_mask=mask).astype(jnp.float32).sum()

    gradient = jax.jit(jax.grad(loss, argnums=(0, 1, 2)), out_shardings=(split,) * 3)
    with placement.active():
        compiled = gradient.lower(x, x, x, mask).compile()
    program = compiled.as_text()
    assert program.count('custom_call_target="tpu_custom_call"') == 3
    assert collective_bytes(Program.parse(program)) == {}
    weights = 2 * (ROWS // 2) * (HEADS // 2) * FRAMES**2
    assert compiled.memory_analysis().temp_size_in_bytes < weights / 4
