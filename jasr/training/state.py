"""What training carries from step to step."""

from collections.abc import Callable
from typing import Any, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct
from jaxtyping import Array, Key, UInt

from jasr.sharding.placement import Placement
from jasr.types import Batch, path_of


@struct.dataclass
class TrainState:
    """Parameters, optimizer state and counters; a checkpoint is exactly this.

    step:      number of steps taken; with `seed` it gives every random draw of the next one.
    nonfinite: how many steps in a row had a non-finite loss or gradient and changed nothing.
    balance:   the balancer's state; empty without one.
    """

    step: Any
    nonfinite: Any
    seed: Any
    params: Any
    opt_state: Any
    balance: Any = ()


# key -> first parameters, boxed with their logical axes.
Initializer: TypeAlias = Callable[[Key[Array, ""]], Any]


def initializer(model: nn.Module, batch: Batch) -> Initializer:
    """What draws the model's parameters; the model is traced once, however often it is asked.

    batch: shapes (or arrays) of any batch the model takes.
    """

    @jax.jit
    def initialize(key: Key[Array, ""]) -> Any:
        empty = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), batch)
        return model.init({"params": key}, empty, train=False)["params"]

    return initialize


def abstract_params(initialize: Initializer) -> Any:
    """Shapes of the parameters, boxed with their logical axes; nothing is computed."""
    return jax.eval_shape(initialize, jax.random.key(0))


def abstract_state(
    boxed: Any,
    optimizer: optax.GradientTransformation,
    placement: Placement,
    *,
    params_dtype: str = "float32",
    balance: Any = (),
) -> TrainState:
    """The state's shapes, dtypes and shardings; nothing is allocated.

    boxed:   what `abstract_params` gives.
    balance: the balancer's first state, or its shapes.
    """
    shardings = placement.parameters(boxed)
    params = nn.unbox(boxed)
    opt_state = jax.eval_shape(optimizer.init, params)
    placed = TrainState(
        step=placement.replicated,
        nonfinite=placement.replicated,
        seed=placement.replicated,
        params=shardings,
        opt_state=placement.like_parameters(opt_state, params, shardings),
        balance=jax.tree.map(lambda _: placement.replicated, balance),
    )
    shapes = TrainState(
        step=jax.ShapeDtypeStruct((), jnp.int32),
        nonfinite=jax.ShapeDtypeStruct((), jnp.int32),
        seed=jax.ShapeDtypeStruct((), jnp.uint32),
        params=jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.dtype(params_dtype)), params
        ),
        opt_state=opt_state,
        balance=jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), balance),
    )
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        shapes,
        placed,
    )


def create_state(
    initialize: Initializer,
    optimizer: optax.GradientTransformation,
    abstract: TrainState,
    *,
    seed: int,
    balance: Any = (),
) -> TrainState:
    """A state drawn from `seed`, created where `abstract` places it."""

    def draw(seed: UInt[Array, ""]) -> TrainState:
        params = nn.unbox(initialize(jax.random.key(seed)))
        return _first_state(params, seed, optimizer, abstract, balance)

    return jax.jit(draw, out_shardings=_placed(abstract))(np.uint32(seed))


def start_from(
    params: Any,
    optimizer: optax.GradientTransformation,
    abstract: TrainState,
    *,
    seed: int,
    balance: Any = (),
) -> TrainState:
    """A first state with parameters that were trained elsewhere."""

    def start(params: Any, seed: UInt[Array, ""]) -> TrainState:
        return _first_state(params, seed, optimizer, abstract, balance)

    return jax.jit(start, out_shardings=_placed(abstract))(params, np.uint32(seed))


def _first_state(
    params: Any,
    seed: Any,
    optimizer: optax.GradientTransformation,
    abstract: TrainState,
    balance: Any,
) -> TrainState:
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        nonfinite=jnp.zeros((), jnp.int32),
        seed=seed,
        params=optax.tree.cast_like(params, abstract.params),
        # Of whatever another training kept them in.
        opt_state=optimizer.init(optax.tree.cast(params, jnp.float32)),
        balance=balance,
    )


def _placed(abstract: TrainState) -> Any:
    return jax.tree.map(lambda leaf: leaf.sharding, abstract)


def logical_axes(boxed: Any) -> dict[str, tuple[str, ...]]:
    """The logical axes of each parameter, by its path.

    boxed: parameters with their metadata, as `abstract_params` gives them.
    """
    boxes = jax.tree_util.tree_leaves_with_path(
        boxed, is_leaf=lambda leaf: isinstance(leaf, nn.LogicallyPartitioned)
    )
    return {path_of(path): box.names for path, box in boxes}
