"""A linear CTC head on a frozen encoder's frames: what a layer knows of characters.

recordings ──▶ frozen encoder ──▶ frames, kept ──▶ one linear layer, trained ──▶ error rate
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jasr.corpora.corpus import Corpus
from jasr.decoding.ctc_greedy import ctc_greedy
from jasr.experiment.data import in_order
from jasr.models.pretraining.masked_speech import layer_outputs
from jasr.objectives.ctc import CTC
from jasr.pipeline.loader import load_all
from jasr.pipeline.usable import select_usable
from jasr.sharding.hosts import whole
from jasr.sharding.placement import Placement
from jasr.tasks.targets import Targets
from jasr.text.error_counts import count_character_errors
from jasr.text.tokenizer import Tokenizer
from jasr.types import Batch, Padded


@dataclasses.dataclass(frozen=True)
class Frames:
    """What a layer of a model's encoder makes of a corpus, on every host.

    layer: counted from 1; 0 is what the encoder as a whole gives.
    """

    model: Any
    placement: Placement
    layer: int

    def of(
        self,
        params: Any,
        corpus: Corpus,
        targets: Targets,
        config: Mapping[str, Any],
    ) -> Batch:
        """All of the corpus that has a text, as one batch with frames [B, T, embed] for audio.

        Of any length: in pretraining config.data.max_seconds is where recordings are cut.
        """
        selection = select_usable(
            corpus,
            targets,
            min_seconds=config["data"]["min_seconds"],
            max_seconds=math.inf,
            max_tokens=config["data"]["max_tokens"],
        )
        shards = self.placement.row_shards
        plan = in_order(config["evaluation"], selection, multiple_of=shards)
        batches = load_all(corpus, plan, targets, share=self.placement.row_share)
        parts = []
        run = jax.jit(self._frames)
        for loaded in batches:
            batch = self.placement.shard_batch(loaded.batch)
            with self.placement.active():
                frames = run(params, batch.audio)
            parts.append(jax.tree.map(whole, dataclasses.replace(batch, audio=frames)))
        return _joined(parts)

    def _frames(self, params: Any, audio: Padded) -> Padded:
        encoder = self.model.encoder.clone(parent=None)
        features = self.model.log_mel(audio)
        if self.layer == 0:
            return encoder.apply({"params": params["encoder"]}, features, train=False)
        states = layer_outputs(encoder, params["encoder"], features)
        return Padded(states.values[self.layer - 1], states.mask)


@dataclasses.dataclass(frozen=True)
class CTCProbe:
    """One linear layer and CTC, trained by Adam on all frames at once.

    Frames are scaled to mean 0 and variance 1 of each feature first.
    """

    tokenizer: Tokenizer
    num_steps: int
    learning_rate: float

    def error_rate(self, train: Batch, test: Batch) -> float:
        """Character error rate on `test`, after training on `train`; spaces count."""
        real = train.audio.values[train.audio.mask].astype(np.float32)
        mean, std = real.mean(axis=0), real.std(axis=0) + 1e-5
        objective = CTC(blank_id=self.tokenizer.blank_id)
        optimizer = optax.adam(optax.cosine_decay_schedule(self.learning_rate, self.num_steps))
        size = self.tokenizer.vocab_size
        params = {"kernel": jnp.zeros((real.shape[1], size)), "bias": jnp.zeros(size)}

        def logits(params: Any, frames: Padded) -> Padded:
            x_BTE = (frames.values.astype(jnp.float32) - mean) / std
            return Padded(x_BTE @ params["kernel"] + params["bias"], frames.mask)

        def loss(params: Any, batch: Batch) -> jax.Array:
            return objective({"ctc": logits(params, batch.audio)}, batch).loss.mean()

        @jax.jit
        def fit(params: Any, batch: Batch) -> Any:
            def step(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], None]:
                params, state = carry
                updates, state = optimizer.update(jax.grad(loss)(params, batch), state)
                return (optax.apply_updates(params, updates), state), None

            start = (params, optimizer.init(params))
            return jax.lax.scan(step, start, length=self.num_steps)[0][0]

        @jax.jit
        def read(params: Any, batch: Batch) -> tuple[jax.Array, jax.Array]:
            best = ctc_greedy(logits(params, batch.audio), blank_id=self.tokenizer.blank_id)
            return best.tokens[:, 0], best.mask[:, 0]

        tokens, mask = jax.device_get(read(fit(params, train), test))
        counts = [
            count_character_errors(
                self.tokenizer.decode(test.targets["text"].values[row][there].tolist()),
                self.tokenizer.decode(tokens[row][mask[row]].tolist()),
            )
            for row, there in enumerate(test.targets["text"].mask)
            if test.example_mask[row]
        ]
        return sum(c.errors for c in counts) / sum(c.length for c in counts)


def _joined(parts: list[Batch]) -> Batch:
    """The batches' rows as one batch, padded to the longest."""

    def join(*arrays: np.ndarray) -> np.ndarray:
        if arrays[0].ndim == 1:
            return np.concatenate(arrays)
        length = max(array.shape[1] for array in arrays)
        return np.concatenate(
            [
                np.pad(a, [(0, 0), (0, length - a.shape[1])] + [(0, 0)] * (a.ndim - 2))
                for a in arrays
            ]
        )

    return jax.tree.map(join, *parts)
