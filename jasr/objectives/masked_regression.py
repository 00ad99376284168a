"""Regression of a teacher's features at masked frames."""

import dataclasses

import jax.numpy as jnp
import optax

from jasr.objectives.objective import Terms, read_output, sum_over_real
from jasr.types import Batch, Outputs, Sum


@dataclasses.dataclass(frozen=True)
class MaskedRegression:
    """The Huber loss between a head's prediction and its target, the features' mean.

    Counted per masked frame. delta: where the loss turns from a parabola to a line; large, it is
    half the squared error. Metric `target_variance`: of the target's features over each
    utterance's frames; it goes to 0 where teacher and student agree on saying nothing.
    Baevski et al. 2022, "data2vec", equation 1.
    """

    head: str
    delta: float = 1.0

    def __call__(self, outputs: Outputs, batch: Batch) -> Terms:
        prediction, target = (
            read_output(outputs, f"{self.head}/{name}", "masked_regression")
            for name in ("prediction", "target")
        )
        masked_BT = read_output(outputs, "masked", "masked_regression").values
        masked_BT &= batch.example_mask[:, None]
        loss_BTE = optax.losses.huber_loss(prediction.values, target.values, delta=self.delta)
        loss_BT = jnp.mean(loss_BTE, axis=-1)
        square_BT = jnp.mean(target.values**2, axis=-1)
        return Terms(
            loss=Sum.of(loss_BT, masked_BT),
            metrics={"target_variance": sum_over_real(square_BT, target, batch)},
        )
