"""One training step: a pure function of state and batch.

batch ─▶ split in microbatches ─▶ model ─▶ objective ─▶ gradients, summed ─▶ optimizer ─▶ state
             └─ counts of the whole batch ──────┘           └─ balancer, if any
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from jasr.objectives.objective import Objectives
from jasr.training.balancing.balancer import Balancer
from jasr.training.gradients import balance_gradients, differentiation
from jasr.training.measure import variables_of
from jasr.training.state import TrainState
from jasr.types import Batch, Sum, split_rows

Metrics = dict[str, Any]


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    model: nn.Module,
    objective: Objectives,
    optimizer: optax.GradientTransformation,
    balancer: Balancer | None = None,
    microbatches: int = 1,
    is_frozen: Any = None,
    frozen: Mapping[str, Any] = MappingProxyType({}),
    axis_name: str | None = None,
) -> tuple[TrainState, Metrics]:
    """The next state, and the step's raw terms, loss and gradient norm.

    The result does not depend on `microbatches`, apart from dropout's draws and float rounding:
    each term is divided once, by its count over the whole batch. A step whose loss or gradient
    is not finite changes only the counters.

    balancer:  finds what the terms weigh beside their configured weights; None for nothing.
    is_frozen: of each parameter, whether it gets no gradient; None where all do.
    frozen:    collections of variables that the model reads and nothing changes: a teacher, say.
    axis_name: of a pmap each of whose devices is given a share of the batch's rows; None where
    the batch is whole, as it is under jit.
    """
    key = jax.random.fold_in(jax.random.key(state.seed), state.step)
    weights = objective.weights(state.step)
    variables = variables_of(state, frozen)

    def sums_of(params: Any, part: Batch, dropout_key: Array) -> dict[str, Sum]:
        # "augment" is keyed by example inside the model; dropout draws for the whole part.
        rngs = {"augment": key, "dropout": dropout_key}
        if is_frozen is not None:
            # What the gradient's norm would read, the compiler could not leave out.
            params = jax.tree.map(
                lambda leaf, fixed: jax.lax.stop_gradient(leaf) if fixed else leaf,
                params,
                is_frozen,
            )
        outputs: Any = model.apply(variables | {"params": params}, part, train=True, rngs=rngs)
        return objective.sums(outputs, part, state.step)

    def counts_of(sums: Mapping[str, Sum]) -> dict[str, Array]:
        return _sum_over_devices({name: s.count for name, s in sums.items()}, axis_name)

    # Of several parts, no one has the whole batch's. Counts depend on masks alone, so the compiler
    # drops what else this pass computes.
    whole = counts_of(sums_of(state.params, batch, key)) if microbatches > 1 else None

    differentiate = differentiation(balancer, state.balance, len(weights))

    def measure(part: Batch, number: Array) -> tuple[Array, dict[str, Sum], Any]:
        dropout_key = _own_key(jax.random.fold_in(key, number), axis_name)

        def losses_of(params: Any) -> tuple[Array, dict[str, Sum]]:
            sums = sums_of(params, part, dropout_key)
            counts = counts_of(sums) if whole is None else whole
            return objective.losses(sums, counts, weights), sums

        losses, sums, gradients = differentiate(losses_of, state.params)
        return losses, sums, optax.tree.cast(gradients, jnp.float32)

    losses, sums, gradients = _sum_over_devices(
        sum_over_parts(measure, batch, microbatches), axis_name
    )
    configured = jnp.stack(list(weights.values()))
    counted = jnp.stack([sums[name].count for name in weights])
    balanced, gradients, balance = balance_gradients(
        balancer,
        state.balance,
        gradients,
        losses=losses,
        configured=configured,
        counts=counted,
        key=key,
    )
    loss = jnp.sum(losses)
    gradient_norm = optax.tree.norm(gradients)
    finite = jnp.isfinite(loss) & jnp.isfinite(gradient_norm)
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)

    def if_finite(new: Any, old: Any) -> Any:
        return jax.tree.map(lambda n, o: jnp.where(finite, n, o), new, old)

    next_state = TrainState(
        step=state.step + 1,
        nonfinite=jnp.where(finite, 0, state.nonfinite + 1),
        seed=state.seed,
        params=if_finite(params, state.params),
        opt_state=if_finite(opt_state, state.opt_state),
        balance=if_finite(balance, state.balance),
    )
    metrics = {
        "loss": loss,
        "terms": sums,
        "weights": {name: weights[name] * balanced[i] for i, name in enumerate(weights)},
        "gradient_norm": gradient_norm,
        "nonfinite": next_state.nonfinite,
    }
    return next_state, metrics


def _sum_over_devices(tree: Any, axis_name: str | None) -> Any:
    return tree if axis_name is None else jax.lax.psum(tree, axis_name)


def _own_key(key: Array, axis_name: str | None) -> Array:
    """Each device draws for its own rows."""
    return key if axis_name is None else jax.random.fold_in(key, jax.lax.axis_index(axis_name))


def sum_over_parts(measure: Callable[[Batch, Array], Any], batch: Batch, parts: int) -> Any:
    """The sum of measure(part, number) over the batch's parts, one part in memory at a time."""
    if parts == 1:
        return measure(batch, jnp.zeros((), jnp.int32))
    split_batch = split_rows(batch, parts)
    numbers = jnp.arange(parts)
    shapes = jax.eval_shape(measure, *jax.tree.map(lambda x: x[0], (split_batch, numbers)))
    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

    def add(total: Any, part: tuple[Batch, Array]) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, measure(*part)), None

    return jax.lax.scan(add, zero, (split_batch, numbers))[0]
