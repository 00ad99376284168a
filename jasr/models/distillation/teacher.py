"""Models that nothing changes, and what is learned from each.

batch ──▶ teacher, as it is ──▶ Lesson: logits, layers' states, attention
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from jasr.errors import UserError
from jasr.layers.subsampling import stem_stride
from jasr.models.encoder import Encoder
from jasr.models.pretraining.masked_speech import layer_outputs
from jasr.models.recognizer import Recognizer
from jasr.types import Batch, Encoded, Padded, join_rows, split_rows

LOGITS = ("ctc", "decoder")


@struct.dataclass
class Lesson:
    """What a model makes of a batch.

    logits:    of each of its heads of LOGITS, [B, places, vocab].
    states:    of each of its layers, [B, T, layers, embed_dim]; None if it was given frames.
    attention: of each layer, float32 [B, T, layers, heads, T]; None if nobody asked.
    """

    logits: Mapping[str, Any]
    states: Any = None
    attention: Any = None


@runtime_checkable
class Teacher(Protocol):
    """Anything that gives a Lesson."""

    @property
    def encoder(self) -> Encoder: ...

    def teach(
        self, params: Any, batch: Batch, *, attention: bool, encoded: Encoded | None = None
    ) -> Lesson:
        """Without dropout or masks.

        encoded: the frames to read, of an encoder that is this one's too.
        """
        ...


@dataclasses.dataclass(frozen=True)
class RecognizingTeacher:
    """A recogniser."""

    model: Recognizer

    @property
    def encoder(self) -> Encoder:
        return self.model.encoder

    def teach(
        self, params: Any, batch: Batch, *, attention: bool, encoded: Encoded | None = None
    ) -> Lesson:
        if encoded is not None:
            outputs: Any = self.model.apply(
                {"params": params}, encoded, batch, train=False, method="respond"
            )
            return Lesson(_logits(outputs))
        outputs, seen = self.model.apply(
            {"params": params}, batch, train=False, mutable=looked_at(attention)
        )
        return lesson_of(outputs, seen, attention=attention)


@dataclasses.dataclass(frozen=True)
class ListeningTeacher:
    """An encoder that learned without transcripts: it has states and no words."""

    log_mel: Any
    encoder: Encoder

    def teach(
        self, params: Any, batch: Batch, *, attention: bool, encoded: Encoded | None = None
    ) -> Lesson:
        if attention or encoded is not None:
            raise UserError(
                "config.teacher: of an encoder that learned without transcripts only the layers' "
                "states can be learned: hidden_states, frame_relations or codebook_prediction"
            )
        states = layer_outputs(self.encoder, params["encoder"], self.log_mel(batch.audio))
        return Lesson({}, jnp.moveaxis(states.values, 0, 2))


def looked_at(attention: bool) -> list[str]:
    """The collections that a lesson is read from."""
    return ["intermediates", *(["attention"] if attention else [])]


def lesson_of(outputs: Mapping[str, Padded], seen: Mapping[str, Any], *, attention: bool) -> Lesson:
    """Of a recogniser's outputs, and what its encoder's layers showed."""
    states_LBTE = seen["intermediates"]["encoder"]["layers"]["output"][0]
    maps = None
    if attention:
        weights_LBHTT = seen["attention"]["encoder"]["layers"]["self_attention"]["weights"][0]
        maps = jnp.transpose(weights_LBHTT, (1, 3, 0, 2, 4))
    return Lesson(_logits(outputs), jnp.moveaxis(states_LBTE, 0, 2), maps)


def _logits(outputs: Mapping[str, Padded]) -> dict[str, Array]:
    return {name: outputs[name].values for name in LOGITS if name in outputs}


def taught_in_parts(
    teacher: Teacher,
    params: Any,
    batch: Batch,
    *,
    parts: int,
    attention: bool,
    encoded: Encoded | None = None,
) -> Lesson:
    """The lesson of a batch, one part of it in memory at a time; without gradient."""

    def teach(part: tuple[Batch, Encoded | None]) -> Lesson:
        rows, frames = part
        return teacher.teach(params, rows, attention=attention, encoded=frames)

    given = jax.lax.stop_gradient((batch, encoded))
    lesson = teach(given) if parts == 1 else join_rows(jax.lax.map(teach, split_rows(given, parts)))
    return jax.lax.stop_gradient(lesson)


def mixed(
    logits: Sequence[Float[Array, "batch places vocab"]], weights: Sequence[float]
) -> Float[Array, "batch places vocab"]:
    """Logarithms of the weighted mean of several teachers' probabilities."""
    total = sum(weights)
    log_probs = [
        jnp.log(weight / total) + jax.nn.log_softmax(one.astype(jnp.float32))
        for one, weight in zip(logits, weights, strict=True)
    ]
    return jax.nn.logsumexp(jnp.stack(log_probs), axis=0)


def at_places_of(
    states: Float[Array, "batch frames layers features"],
    teacher: Encoder,
    student: Encoder,
    num_frames: int,
) -> Float[Array, "batch student_frames layers features"]:
    """The teacher's frames in the middle of each of the student's, where strides differ."""
    here, there = stem_stride(student.stem), stem_stride(teacher.stem)
    if here == there:
        return states
    middle_T = (jnp.arange(num_frames) * here + here // 2) // there
    return jnp.take(states, jnp.minimum(middle_T, states.shape[1] - 1), axis=1)
