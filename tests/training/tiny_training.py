"""A tiny recogniser with both heads, and batches of noise for it."""

import functools

import jax
import numpy as np
from flax import linen as nn

from jasr.audio.log_mel import LogMel
from jasr.audio.spec_augment import SpecAugment
from jasr.models.recognizer import Recognizer
from jasr.models.transformer_decoder import TransformerDecoder
from jasr.models.transformer_encoder import TransformerEncoder
from jasr.objectives.cross_entropy import CrossEntropy
from jasr.objectives.ctc import CTC
from jasr.objectives.objective import Objectives, Weighted
from jasr.sharding.placement import Placement
from jasr.training.optimizer import LearningRate, Optimizer
from jasr.training.state import abstract_params, abstract_state, create_state, initializer
from jasr.training.step import train_step
from jasr.types import Batch, Padded

VOCAB = 12
OBJECTIVE = Objectives({"ctc": Weighted(CTC(), 0.3), "ce": Weighted(CrossEntropy(), 0.7)})


def tiny_model() -> Recognizer:
    size = {"num_layers": 2, "embed_dim": 16, "num_heads": 2, "mlp_dim": 32}
    return Recognizer(
        vocab_size=VOCAB,
        log_mel=LogMel(num_mels=20),
        spec_augment=SpecAugment(
            time_masks=1,
            max_time_fraction=0.2,
            max_time_frames=10,
            frequency_masks=1,
            max_frequency_bins=4,
        ),
        encoder=TransformerEncoder(stem="conv1d_4x", **size),
        decoder=TransformerDecoder(position="sinusoidal", **size),
    )


def noise_batch(rows: int = 8, seed: int = 0) -> Batch:
    """Utterances of 0.2 to 0.5 s with 1 to 4 tokens; the last row is filler."""
    rng = np.random.default_rng(seed)
    samples = rng.integers(3200, 8000, rows)
    tokens = rng.integers(1, 5, rows)
    samples[-1] = tokens[-1] = 0
    mask = np.arange(8000) < samples[:, None]
    return Batch(
        audio=Padded((rng.normal(size=mask.shape) * 0.1 * mask).astype(np.float32), mask),
        targets={
            "text": Padded(
                rng.integers(3, VOCAB, (rows, 6)).astype(np.int32),
                np.arange(6) < tokens[:, None],
            )
        },
        example_mask=samples > 0,
        example_ids=np.arange(100, 100 + rows, dtype=np.uint32),
    )


class Training:
    """A model, an optimizer and a first state, on a mesh."""

    def __init__(
        self,
        *,
        preset="data_parallel",
        mesh=None,
        transformation=None,
        balancer=None,
        objective=OBJECTIVE,
        **optimizer,
    ):
        self.objective = objective
        self.balancer = balancer
        self.balance = balancer.init(len(objective.terms)) if balancer else ()
        self.model, self.batch = tiny_model(), noise_batch()
        self.placement = Placement.from_config({"preset": preset, **(mesh or {})})
        self.initialize = initializer(self.model, self.batch)
        boxed = abstract_params(self.initialize)
        rate = optimizer.pop("learning_rate", LearningRate(peak=1e-2, num_steps=100))
        self.optimizer = transformation or Optimizer(learning_rate=rate, **optimizer).build(
            nn.unbox(boxed), nn.get_partition_spec(boxed)
        )
        self.abstract = abstract_state(
            boxed,
            self.optimizer,
            self.placement,
            params_dtype=optimizer.get("params_dtype", "float32"),
            balance=self.balance,
        )

    def state(self, seed: int = 0):
        return create_state(
            self.initialize,
            self.optimizer,
            self.abstract,
            seed=seed,
            balance=self.balance,
        )

    @functools.cache  # noqa: B019 - a few trainings live as long as the test run
    def step(self, microbatches: int = 1):
        """The compiled step."""
        step = jax.jit(
            functools.partial(
                train_step,
                model=self.model,
                objective=self.objective,
                optimizer=self.optimizer,
                balancer=self.balancer,
                microbatches=microbatches,
            )
        )

        def take(state, batch):
            with self.placement.active():
                return step(state, batch)

        return take

    def place(self, batch: Batch) -> Batch:
        return self.placement.shard_batch(batch)
