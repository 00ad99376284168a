"""How tasks relate: what their vectors have in common, and whether their gradients agree."""

import itertools
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jasr.evaluation.matrices import Matrix
from jasr.experiment.objective import OF_A_TEACHER, build_objective
from jasr.experiment.recognition import Recognition
from jasr.pipeline.loader import LoadedBatch
from jasr.sharding.hosts import whole
from jasr.training.balancing.balancer import products_of
from jasr.training.gradients import of_each_term
from jasr.types import Batch

# Batches whose gradients are compared.
COMPARED = 4


def vector_cosines(recognition: Recognition, params: Any) -> tuple[tuple[str, ...], Matrix] | None:
    """Of the tasks' vectors, those of encoder and decoder side by side; None if it has none."""
    sides = [
        params[name]["vectors"] for name in ("encoder_tasks", "decoder_tasks") if name in params
    ]
    if not sides:
        return None
    vectors = np.concatenate([whole(side) for side in sides], axis=1)
    return tuple(recognition.meta.config["tasks"]), _cosines(vectors @ vectors.T)


def gradient_cosines(
    recognition: Recognition, params: Any, batches: Iterable[LoadedBatch]
) -> tuple[tuple[str, ...], Matrix] | None:
    """Of the gradients of the objective's terms by all parameters, the mean over some batches.

    Terms that need a teacher are left out; None if all do.
    """
    config = recognition.meta.config
    own = {
        name: term for name, term in config["objective"].items() if term["name"] not in OF_A_TEACHER
    }
    if not own:
        return None
    objective = build_objective(own, tuple(config["tasks"]))
    weights = dict.fromkeys(objective.terms, jnp.ones(()))

    @jax.jit
    def products(params: Any, batch: Batch) -> jax.Array:
        def losses_of(params: Any) -> tuple[jax.Array, None]:
            outputs: Any = recognition.model.apply({"params": params}, batch, train=False)
            sums = objective.sums(outputs, batch, jnp.zeros((), jnp.int32))
            counts = {name: part.count for name, part in sums.items()}
            return objective.losses(sums, counts, weights), None

        return products_of(of_each_term(losses_of, params)[2])

    found = []
    for loaded in itertools.islice(batches, COMPARED):
        batch = recognition.place(loaded.batch)
        with recognition.placement.active():
            found.append(_cosines(whole(products(params, batch))))
    there = np.isfinite(found)
    total = np.sum(np.where(there, found, 0), axis=0)
    mean = total / np.maximum(there.sum(axis=0), 1)
    return tuple(objective.terms), np.where(there.any(axis=0), mean, np.nan)


def _cosines(products: np.ndarray) -> Matrix:
    """NaN for a gradient of zero: the batch had nothing for that term."""
    norms = np.sqrt(np.diagonal(products))
    with np.errstate(invalid="ignore", divide="ignore"):
        return products / (norms[:, None] * norms[None, :])
