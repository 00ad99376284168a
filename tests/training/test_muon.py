"""Muon's matrices in stacks: what each would be alone."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import PartitionSpec

from jasr.training.muon import matrix_axes, orthogonalize

AXES = {
    "query": PartitionSpec("embed", "heads", "head_dim"),
    "out": PartitionSpec("heads", "head_dim", "embed"),
    "up": PartitionSpec("embed", "mlp"),
    "gate": PartitionSpec("embed", "mlp"),
    "scanned": PartitionSpec("layers", "embed", "mlp"),
}
SHAPES = {
    "query": (8, 2, 4),
    "out": (2, 4, 8),
    "up": (8, 16),
    "gate": (8, 16),
    "scanned": (3, 8, 16),
}


def test_a_stack_is_orthogonalized_as_each_of_its_matrices_alone():
    random = np.random.default_rng(0)
    updates = {
        name: jnp.asarray(random.standard_normal(shape).astype(np.float32) * 10.0**place)
        for place, (name, shape) in enumerate(SHAPES.items())
    } | {"bias": optax.MaskedNode()}
    dimensions = matrix_axes(AXES | {"bias": PartitionSpec("embed")})
    together, _ = orthogonalize(dimensions).update(updates, optax.EmptyState())
    alone = optax.contrib.scale_by_muon(
        beta=0.0, nesterov=False, weight_dimension_numbers=dimensions
    )
    expected, _ = alone.update(updates, alone.init(updates))
    jax.tree.map(
        lambda ours, theirs: np.testing.assert_allclose(ours, theirs, atol=1e-5), together, expected
    )
    singular = np.linalg.svd(together["up"], compute_uv=False)
    assert singular.min() > 0.6
    assert singular.max() < 1.3
