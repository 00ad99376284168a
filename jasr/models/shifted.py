"""What a decoder reads to predict a text."""

import jax.numpy as jnp

from jasr.types import Batch, Padded


def shifted(batch: Batch, start_id: int) -> Padded:
    """The start token, then the text: ids [B, 1 + tokens]; position i predicts token i."""
    text = batch.targets["text"]
    start_B1 = jnp.full((len(text.values), 1), start_id, text.values.dtype)
    return Padded(
        values=jnp.concatenate([start_B1, text.values], axis=1),
        mask=jnp.concatenate([batch.example_mask[:, None], text.mask], axis=1),
    )
