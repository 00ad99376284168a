"""wav2vec-U: units that are to look like text, from speech that nobody transcribed.

audio ──▶ frozen frames ──▶ segments ──▶ generator ──▶ units, runs joined ──┐
text of others ──▶ silences put in, spaces left out ────────────────────────┴─▶ discriminator
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Key

from jasr.errors import UserError
from jasr.layers.collections import read_collection
from jasr.models.adversarial.networks import Discriminator, Generator
from jasr.models.adversarial.runs import pool_runs
from jasr.models.pretraining.clusters import Clusters
from jasr.types import Batch, Outputs, Padded, example_keys


class AdversarialSpeech(nn.Module):
    """A generator of units from clustered frames, against a discriminator that knows text.

    clusters:      what is frozen: frames, and the cluster of each; runs of one are a segment.
    silence_id:    the unit of silence, which is the space.
    keep_silence:  how likely a space of the text stays, as a silence between words.
    silent_ends:   whether silence stands before and behind a text.

    Baevski et al. 2021, "Unsupervised speech recognition".
    """

    vocab_size: int
    clusters: Clusters
    generator: Generator
    discriminator: Discriminator
    silence_id: int
    keep_silence: float = 0.25
    silent_ends: bool = True

    @nn.compact
    def __call__(self, batch: Batch, *, train: bool) -> Outputs:
        """What the adversarial objectives read; scores are [B, 1], one each utterance:

        "segments":      [B, S, vocab], their logits, for CTC when there are transcripts.
        "generated":     the same, runs of one likeliest unit joined.
        "smooth":        [B, S], squared change of the logits from a segment to the next.
        "fake_score":    of what is generated, for the discriminator's parameters alone.
        "generator_score": the same for the generator's.
        "real_score":    of text.
        "gradient_penalty": (|gradient of the score| - 1)^2 between the two, summed over units.
        """
        segments = self._segments(batch.audio)
        logits = self.generator(segments, train=train)
        joined = self._joined(logits)
        fake = Padded(jax.nn.softmax(joined.values), joined.mask)
        key = self.make_rng("augment") if self.has_rng("augment") else jax.random.key(0)
        keys_B2 = jax.vmap(jax.random.split)(example_keys(key, batch))
        real = self._spoken(batch.targets["text"], keys_B2[:, 0])
        scores = self._scores(fake, real, keys_B2[:, 1])
        rows = batch.example_mask[:, None]
        change_BS = jnp.mean(jnp.diff(logits.values, axis=1, append=logits.values[:, -1:]) ** 2, -1)
        both = segments.mask & jnp.pad(segments.mask[:, 1:], ((0, 0), (0, 1)))
        return {
            "segments": logits,
            "generated": joined,
            "smooth": Padded(change_BS, both),
            **{name: Padded(score[:, None], rows) for name, score in scores.items()},
        }

    @property
    def log_mel(self) -> Any:
        """What its frames' features are made by."""
        return self.clusters.describe.log_mel

    def encode(self, batch: Batch) -> Padded:
        """[B, S, features], the segments, as a search for units begins with them."""
        return self._segments(batch.audio)

    def ctc_logits(self, segments: Padded) -> Padded:
        """[B, S, vocab], "generated"."""
        return self._joined(self.generator(segments, train=False))

    def _joined(self, logits: Padded) -> Padded:
        return pool_runs(logits, jnp.argmax(logits.values, axis=-1))

    def _segments(self, audio: Padded) -> Padded:
        variables = read_collection(self, "clusters")
        if self.is_initializing():
            width, rows = self.clusters.describe.num_features, len(audio.values)
            return Padded(jnp.zeros((rows, 2, width)), jnp.ones((rows, 2), bool))
        if not variables:
            raise UserError("model: the clusters that divide speech into segments were not given")
        scaled = self.clusters.scaled(variables, audio)
        ids_BT = self.clusters.nearest(variables, scaled).values[..., 0]
        return jax.lax.stop_gradient(pool_runs(scaled, ids_BT))

    def _spoken(self, text: Padded, keys_B: Key[Array, " batch"]) -> Padded:
        """One-hot units of text as it is spoken: hardly any silence within, and some around it."""
        length = text.values.shape[1]
        uniform_BL = jax.vmap(lambda key: jax.random.uniform(key, (length,)))(keys_B)
        stays_BL = (text.values != self.silence_id) | (uniform_BL < self.keep_silence)
        stays_BL &= text.mask
        order_BL = jnp.argsort(~stays_BL, axis=1, stable=True)
        packed_BL = jnp.take_along_axis(text.values, order_BL, axis=1)
        count_B1 = jnp.sum(stays_BL, axis=1, keepdims=True)
        if not self.silent_ends:
            is_real_BL = jnp.arange(length) < count_B1
            return Padded(jax.nn.one_hot(packed_BL, self.vocab_size), is_real_BL)
        place_L = jnp.arange(length + 2)
        inside_BL = jnp.pad(packed_BL, ((0, 0), (1, 1)))
        is_edge_BL = (place_L == 0) | (place_L == count_B1 + 1)
        units_BL = jnp.where(is_edge_BL, self.silence_id, inside_BL)
        return Padded(jax.nn.one_hot(units_BL, self.vocab_size), place_L <= count_B1 + 1)

    def _scores(
        self, fake: Padded, real: Padded, keys_B: Key[Array, " batch"]
    ) -> dict[str, Float[Array, " batch"]]:
        fixed_fake = Padded(jax.lax.stop_gradient(fake.values), fake.mask)
        # Called once here, so that its parameters are there to be read.
        fake_score_B = self.discriminator(fixed_fake)
        real_score_B = self.discriminator(real)
        params = self.discriminator.variables["params"]
        apart = self.discriminator.clone(parent=None, name=None)

        def score(params: Any, units: Padded) -> Any:
            return apart.apply({"params": params}, units)

        size = min(fake.mask.shape[1], real.mask.shape[1])
        share_B11 = jax.vmap(lambda key: jax.random.uniform(key, (1, 1)))(keys_B)
        fake_BSV, real_BSV = fixed_fake.values[:, :size], real.values[:, :size]
        both_BS = fake.mask[:, :size] & real.mask[:, :size]
        total = lambda mixed_BSV: jnp.sum(score(params, Padded(mixed_BSV, both_BS)))  # noqa: E731
        slope_BSV = jax.grad(total)(share_B11 * fake_BSV + (1 - share_B11) * real_BSV)
        # Each unit's over time, as the authors' own program has it: with one norm of all, a slope
        # is held to a seventh, and what keeps the generator from cheating outweighs the game.
        norm_BV = jnp.sqrt(jnp.sum(slope_BSV**2, axis=1) + 1e-12)
        return {
            "fake_score": fake_score_B,
            "generator_score": score(jax.lax.stop_gradient(params), fake),
            "real_score": real_score_B,
            "gradient_penalty": jnp.sum((norm_BV - 1) ** 2, axis=1),
        }
