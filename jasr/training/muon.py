"""Which parameters Muon orthogonalises, along which axes, and how large its updates are."""

import math
from typing import Any

import jax
import optax
from jax.sharding import PartitionSpec
from optax.contrib import MuonDimensionNumbers

# An embedding or a classifier is no map inside the network: Muon's authors leave both to Adam.
_OUTSIDE = {"vocab", "positions", "features"}


def matrix_axes(axes: Any) -> Any:
    """For each parameter, its input and output axes as a matrix; MaskedNode where it is none.

    axes: PartitionSpec of logical names for each parameter. "layers" is a batch of matrices.
    A projection out of the heads reads ("heads", "head_dim"); a convolution reads
    ("kernel", its input channels); anything else reads its first axis.
    """
    return jax.tree.map(
        _dimension_numbers, axes, is_leaf=lambda leaf: isinstance(leaf, PartitionSpec)
    )


def match_adam_size(dimensions: Any) -> optax.GradientTransformation:
    """Scales orthogonal updates to Adam's usual root mean square, 0.2 (Liu et al., 2025, eq. 4).

    One learning rate and one weight decay then serve both algorithms.
    """

    def scale(update: Any, matrix: Any) -> Any:
        if isinstance(matrix, optax.MaskedNode):
            return update
        inputs = math.prod(update.shape[i] for i in matrix.reduction_axis)
        outputs = math.prod(update.shape[i] for i in matrix.output_axis)
        return update * (0.2 * math.sqrt(max(inputs, outputs)))

    return optax.stateless(
        lambda updates, _: jax.tree.map(scale, updates, dimensions, is_leaf=is_matrix_or_masked)
    )


def is_matrix_or_masked(node: Any) -> bool:
    return isinstance(node, MuonDimensionNumbers | optax.MaskedNode)


def _dimension_numbers(spec: PartitionSpec) -> MuonDimensionNumbers | optax.MaskedNode:
    axes = [i for i, name in enumerate(spec) if name != "layers"]
    names = [spec[i] for i in axes]
    num_inputs = 2 if names[:1] in (["heads"], ["kernel"]) else 1
    if len(axes) <= num_inputs or _OUTSIDE & set(names):
        return optax.MaskedNode()
    return MuonDimensionNumbers(
        reduction_axis=tuple(axes[:num_inputs]), output_axis=tuple(axes[num_inputs:])
    )
