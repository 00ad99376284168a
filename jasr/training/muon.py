"""Muon: which parameters it orthogonalises, along which axes, how, and how large."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float
from optax.contrib import MuonDimensionNumbers

from jasr.training.masked import is_masked

MOMENTUM = 0.95
# An embedding or a classifier is no map inside the network: Muon's authors leave both to Adam.
_OUTSIDE = {"vocab", "positions", "features", "kernel"}


def scale_by_muon(
    axes: Any, *, others: optax.GradientTransformation
) -> optax.GradientTransformation:
    """Muon (Jordan et al., 2024) on matrices inside the network, `others` on everything else.

    axes: as of `matrix_axes`.
    """
    dimensions = matrix_axes(axes)
    labels = jax.tree.map(
        lambda d: "muon" if _is_matrix(d) else "others", dimensions, is_leaf=_is_matrix_or_masked
    )
    muon = optax.chain(
        optax.trace(MOMENTUM, nesterov=True),
        orthogonalize(dimensions),
        match_adam_size(dimensions),
    )
    return optax.partition({"muon": muon, "others": others}, labels)


def matrix_axes(axes: Any) -> Any:
    """For each parameter, its input and output axes as a matrix; MaskedNode where it is none.

    axes: PartitionSpec of logical names for each parameter. "layers" is a batch of matrices.
    A projection out of the heads reads ("heads", "head_dim"), anything else its first axis.
    Convolutions are none: those of a stem stand at the network's edge, depthwise ones are vectors.
    """
    return jax.tree.map(
        _dimension_numbers, axes, is_leaf=lambda leaf: isinstance(leaf, PartitionSpec)
    )


def orthogonalize(dimensions: Any) -> optax.GradientTransformation:
    """The nearest orthogonal matrix to each, by five Newton-Schulz iterations (optax's).

    Matrices of one shape are one stack, so that a deep model takes a few large products and not
    hundreds of small ones, each of which a GPU would be asked for alone.
    """

    def update(updates: Any, params: Any) -> Any:
        del params
        leaves, structure = jax.tree.flatten(updates, is_leaf=is_masked)
        matrices = jax.tree.leaves(dimensions, is_leaf=_is_matrix_or_masked)
        # What another optimizer moves, or none, is masked there; what is no matrix, here as well.
        there = [place for place, leaf in enumerate(leaves) if not is_masked(leaf)]
        stacked = [_stacked(leaves[place], matrices[place]) for place in there]
        alike: dict[tuple[int, ...], list[int]] = {}
        for number, stack in enumerate(stacked):
            alike.setdefault(stack.shape[1:], []).append(number)
        for numbers in alike.values():
            together = _newton_schulz(jnp.concatenate([stacked[n] for n in numbers]))
            ends = np.cumsum([len(stacked[n]) for n in numbers])[:-1]
            for n, stack in zip(numbers, jnp.split(together, ends), strict=True):
                stacked[n] = stack
        for place, stack in zip(there, stacked, strict=True):
            leaves[place] = _unstacked(stack, leaves[place].shape, matrices[place])
        return jax.tree.unflatten(structure, leaves)

    return optax.stateless(update)


def match_adam_size(dimensions: Any) -> optax.GradientTransformation:
    """Scales orthogonal updates to Adam's usual root mean square, 0.2 (Liu et al., 2025, eq. 4).

    One learning rate and one weight decay then serve both algorithms.
    """

    def scale(update: Any, matrix: Any) -> Any:
        if is_masked(update):
            return update
        inputs = math.prod(update.shape[i] for i in matrix.reduction_axis)
        outputs = math.prod(update.shape[i] for i in matrix.output_axis)
        return update * (0.2 * math.sqrt(max(inputs, outputs)))

    return optax.stateless(
        lambda updates, _: jax.tree.map(scale, updates, dimensions, is_leaf=_is_matrix_or_masked)
    )


def _order(num_axes: int, matrix: MuonDimensionNumbers) -> tuple[int, ...]:
    inside = (*matrix.reduction_axis, *matrix.output_axis)
    return (*(axis for axis in range(num_axes) if axis not in inside), *inside)


def _stacked(leaf: Float[Array, "..."], matrix: MuonDimensionNumbers) -> Float[Array, "n i o"]:
    inputs = math.prod(leaf.shape[axis] for axis in matrix.reduction_axis)
    outputs = math.prod(leaf.shape[axis] for axis in matrix.output_axis)
    return leaf.transpose(_order(leaf.ndim, matrix)).reshape(-1, inputs, outputs)


def _unstacked(
    stack: Float[Array, "n i o"], shape: tuple[int, ...], matrix: MuonDimensionNumbers
) -> Float[Array, "..."]:
    order = _order(len(shape), matrix)
    return stack.reshape([shape[axis] for axis in order]).transpose(np.argsort(order))


def _newton_schulz(stack: Float[Array, "n i o"]) -> Float[Array, "n i o"]:
    numbers = MuonDimensionNumbers(reduction_axis=(1,), output_axis=(2,))
    # Without momentum, which is kept parameter by parameter.
    alone = optax.contrib.scale_by_muon(
        beta=0.0, nesterov=False, weight_dimension_numbers=[numbers]
    )
    return alone.update([stack], alone.init([stack]))[0][0]


def _is_matrix_or_masked(node: Any) -> bool:
    return _is_matrix(node) or is_masked(node)


def _is_matrix(node: Any) -> bool:
    return isinstance(node, MuonDimensionNumbers)


def _dimension_numbers(spec: PartitionSpec) -> MuonDimensionNumbers | optax.MaskedNode:
    axes = [i for i, name in enumerate(spec) if name != "layers"]
    names = [spec[i] for i in axes]
    num_inputs = 2 if names[:1] == ["heads"] else 1
    if len(axes) <= num_inputs or _OUTSIDE & set(names):
        return optax.MaskedNode()
    return MuonDimensionNumbers(
        reduction_axis=tuple(axes[:num_inputs]), output_axis=tuple(axes[num_inputs:])
    )
