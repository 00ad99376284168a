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
# What a frame's attention to all frames is at least taken to be.
SMALLEST = 1e-8


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What of a model is looked at.

    layers:    counted from 1.
    attention: whether where they look is.
    """

    layers: tuple[int, ...] = ()
    attention: bool = False

    @property
    def collections(self) -> list[str]:
        """That the model must show."""
        return ["intermediates"] * bool(self.layers) + ["attention"] * self.attention


@struct.dataclass
class Lesson:
    """What a model makes of a batch.

    logits:    of each of its heads of LOGITS, [B, places, vocab].
    states:    of the wanted layers, [B, T, layers, embed_dim]; None if none are, or if it was given
               frames.
    attention: of the wanted layers, heads averaged, float32 [B, T, layers, T]; None if not wanted.

    Each with the mask of the places or frames that are real.
    """

    logits: Mapping[str, Padded]
    states: Padded | None = None
    attention: Padded | None = None


@runtime_checkable
class Teacher(Protocol):
    """Anything that gives a Lesson."""

    @property
    def log_mel(self) -> Any: ...

    @property
    def encoder(self) -> Encoder: ...

    def teach(
        self, params: Any, batch: Batch, wanted: Wanted, *, encoded: Encoded | None = None
    ) -> Lesson:
        """Without dropout, and of the recordings as they are.

        encoded: the frames to read instead, of a student whose encoder is this one's.
        """
        ...


@dataclasses.dataclass(frozen=True)
class RecognizingTeacher:
    """A recogniser."""

    model: Recognizer

    @property
    def log_mel(self) -> Any:
        return self.model.log_mel

    @property
    def encoder(self) -> Encoder:
        return self.model.encoder

    def teach(
        self, params: Any, batch: Batch, wanted: Wanted, *, encoded: Encoded | None = None
    ) -> Lesson:
        variables = {"params": params}
        if encoded is not None:
            outputs: Any = self.model.apply(
                variables, encoded, batch, train=False, method="respond"
            )
            return Lesson(_logits(outputs))
        outputs, seen = self.model.apply(variables, batch, train=False, mutable=wanted.collections)
        return lesson_of(outputs, seen, wanted)


@dataclasses.dataclass(frozen=True)
class ListeningTeacher:
    """An encoder that learned without transcripts: it has states and no words."""

    log_mel: Any
    encoder: Encoder

    def teach(
        self, params: Any, batch: Batch, wanted: Wanted, *, encoded: Encoded | None = None
    ) -> Lesson:
        if wanted.attention or encoded is not None:
            raise UserError(
                "config.teacher: of an encoder that learned without transcripts only the layers' "
                "states can be learned: hidden_states, frame_relations or codebook_prediction"
            )
        states = layer_outputs(self.encoder, params["encoder"], self.log_mel(batch.audio))
        if not wanted.layers:
            return Lesson({})
        return Lesson({}, Padded(_chosen(states.values, wanted), states.mask))


def lesson_of(outputs: Mapping[str, Padded], seen: Mapping[str, Any], wanted: Wanted) -> Lesson:
    """Of a recogniser's outputs, and what its encoder's layers showed."""
    states = maps = None
    mask = outputs["encoder"].mask
    # A task's prefix is before them, and is no frame.
    frames = slice(-mask.shape[1], None)
    if wanted.layers:
        of_layers = seen["intermediates"]["encoder"]["layers"]["output"][0]
        states = Padded(_chosen(of_layers, wanted)[:, frames], mask)
    if wanted.attention:
        weights_LBHTT = seen["attention"]["encoder"]["layers"]["self_attention"]["weights"][0]
        weights = _chosen(jnp.mean(weights_LBHTT, axis=2), wanted)[:, frames, :, frames]
        total = jnp.sum(weights, axis=-1, keepdims=True)
        maps = Padded(weights / jnp.maximum(total, SMALLEST), mask)
    return Lesson(_logits(outputs), states, maps)


def _chosen(
    of_layers: Float[Array, "layers batch frames features"], wanted: Wanted
) -> Float[Array, "batch frames wanted features"]:
    places = jnp.asarray([layer - 1 for layer in wanted.layers], jnp.int32)
    return jnp.moveaxis(of_layers[places].astype(jnp.float32), 0, 2)


def _logits(outputs: Mapping[str, Padded]) -> dict[str, Padded]:
    return {name: outputs[name] for name in LOGITS if name in outputs}


def taught_in_parts(
    teacher: Teacher,
    params: Any,
    batch: Batch,
    wanted: Wanted,
    *,
    parts: int,
    encoded: Encoded | None = None,
) -> Lesson:
    """The lesson of a batch, one part of it in memory at a time; without gradient."""

    def teach(part: tuple[Batch, Encoded | None]) -> Lesson:
        rows, frames = part
        return teacher.teach(params, rows, wanted, encoded=frames)

    given = jax.lax.stop_gradient((batch, encoded))
    lesson = teach(given) if parts == 1 else join_rows(jax.lax.map(teach, split_rows(given, parts)))
    return jax.lax.stop_gradient(lesson)


def joint_lesson(
    teachers: Sequence[Teacher],
    weights: Sequence[float],
    params: Sequence[Any],
    batch: Batch,
    wanted: Wanted,
    *,
    parts: int = 1,
    encoded: Encoded | None = None,
) -> Lesson:
    """What several teachers say together: of every head the mean of the probabilities, as
    logarithms, of those that have it, and the layers of the first."""
    lessons = [
        taught_in_parts(
            teacher,
            own,
            batch,
            wanted if number == 0 else Wanted(),
            parts=parts,
            encoded=encoded,
        )
        for number, (teacher, own) in enumerate(zip(teachers, params, strict=True))
    ]
    logits = {}
    for name in LOGITS:
        heard = [
            (one.logits[name], w)
            for one, w in zip(lessons, weights, strict=True)
            if name in one.logits
        ]
        if heard:
            said, shares = zip(*heard, strict=True)
            logits[name] = Padded(mixed([one.values for one in said], shares), said[0].mask)
    return dataclasses.replace(lessons[0], logits=logits)


def mixed(
    logits: Sequence[Float[Array, "batch places vocab"]], weights: Sequence[float]
) -> Float[Array, "batch places vocab"]:
    """Logarithms of the weighted mean of several teachers' probabilities.

    Raises UserError for teachers whose frames or tokens are not the same.
    """
    shapes = {one.shape for one in logits}
    if len(shapes) > 1:
        raise UserError(
            f"config.teacher.workdir: the teachers' logits are of {sorted(shapes)} [batch, places, "
            f"tokens]: of several give those with one tokenizer and one stem"
        )
    total = sum(weights)
    log_probs = [
        jnp.log(weight / total) + jax.nn.log_softmax(one.astype(jnp.float32))
        for one, weight in zip(logits, weights, strict=True)
    ]
    return jax.nn.logsumexp(jnp.stack(log_probs), axis=0)


def samples_per_frame(listener: Any) -> int:
    """Of the frames behind the stem of a model with a front end and an encoder."""
    return int(listener.log_mel.hop_length * stem_stride(listener.encoder.stem))


def at_same_times(
    states: Padded, *, there: int, here: int, num_frames: int
) -> Float[Array, "batch other_frames layers features"]:
    """Of real frames that come every `there` samples, the nearest to each of `num_frames` that come
    every `here` samples; a stem's frame t is about sample t times its distance (`subsampling`).

    states: Float[Array, "batch frames layers features"]
    """
    if there == here and states.values.shape[1] == num_frames:
        return states.values
    nearest_T = (jnp.arange(num_frames) * here + there // 2) // there
    last_B = jnp.maximum(states.lengths() - 1, 0)
    place_BT = jnp.minimum(nearest_T, last_B[:, None])
    return jnp.take_along_axis(states.values, place_BT[..., None, None], axis=1)
