"""Activations with named axes."""

from flax import linen as nn
from jaxtyping import Array, Float

from jasr.errors import UserError


def constrain(
    module: nn.Module, x: Float[Array, "..."], axes: tuple[str | None, ...]
) -> Float[Array, "..."]:
    """x, placed by the sharding rules in force for its logical axes; as it is where none are.

    axes: a name for each axis, None for one that is never split.
    Raises UserError with the module's path for a name that no rule covers.
    """
    rules = nn.get_logical_axis_rules()
    covered = {axis for axis, _ in rules}
    unknown = [axis for axis in axes if axis is not None and axis not in covered]
    if rules and unknown:
        raise UserError(
            f"an activation of {'/'.join(module.path)} has the logical axis {unknown[0]!r}, which "
            f"no sharding rule covers; the rules cover {', '.join(sorted(covered))}"
        )
    placed: Array = nn.with_logical_constraint(x, axes)
    return placed
