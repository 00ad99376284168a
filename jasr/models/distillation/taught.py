"""A student, and what its teachers make of the same batch.

batch ──┬──▶ student  ──▶ "ctc", "decoder", ...   "student/states", "student/projected"
        ├──▶ teachers ──▶ "teacher/ctc", "teacher/decoder"   "teacher/states"
        └──▶ codebooks ─▶ "codebook/logits", "codebook/codes"
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from jasr.errors import UserError
from jasr.layers.collections import read_collection
from jasr.layers.linear import Linear
from jasr.models.distillation.recorded import recorded
from jasr.models.distillation.teacher import (
    Lesson,
    Teacher,
    Wanted,
    at_same_times,
    joint_lesson,
    lesson_of,
    samples_per_frame,
)
from jasr.models.pretraining.units import Units
from jasr.models.recognizer import Recognizer
from jasr.types import Batch, Encoded, Outputs, Padded

# The name of the parameters that the student alone does not have, in its own place "codebook".
MATCHING = "matching"
# That of the codes of frames among a batch's lessons.
CODES = "codes"


class Matching(nn.Module):
    """A linear layer from each matched layer of the student to the teacher's width."""

    width: int

    @nn.compact
    def __call__(
        self, states: Float[Array, "batch frames pairs embed"]
    ) -> Float[Array, "batch frames pairs width"]:
        layers = [
            Linear((self.width,), ("embed",), ("features",), dtype="float32", name=f"layer_{pair}")
            for pair in range(states.shape[2])
        ]
        projected = [layer(states[:, :, pair]) for pair, layer in enumerate(layers)]
        return jnp.stack(projected, axis=2)


class Taught(nn.Module):
    """Gives what the student gives, and what is to be learned beside it.

    Where a batch brings lessons, they stand for the teachers, which are not run. Else the teachers'
    parameters are the collection "teacher", by number; where there are none, the one
    teacher is the student of averaged parameters, the collection "average".

    student:        its parameters have here the paths that they have alone.
    weights:        of each teacher's probabilities in their mean. States and attention are those of
                    the first.
    pairs:          layers of the student and of the teacher to match, counted from 1, if any are.
    projects:       whether the student's layers are projected to the teacher's width.
    attention:      whether attention is learned.
    codebook:       predicts the codes of frames; None where no codes are.
    shares_encoder: whether the teachers read the student's frames, their encoder being its own.
    parts:          in which the teachers go through a batch, one after the other.
    """

    student: Recognizer
    teachers: tuple[Teacher, ...] = ()
    weights: tuple[float, ...] = ()
    pairs: tuple[tuple[int, int], ...] = ()
    projects: bool = False
    attention: bool = False
    codebook: Units | None = None
    shares_encoder: bool = False
    parts: int = 1

    @nn.compact
    def __call__(self, batch: Batch, *, train: bool) -> Outputs:
        """The student's outputs, and

        "student/states":    float32 [B, T, pairs, embed], of its matched layers.
        "student/projected": the same, projected to the teacher's width.
        "student/attention": of their heads together, [B, T, pairs, T].
        "teacher/ctc", "teacher/decoder": logarithms of probabilities, shaped as the student's.
        "teacher/states", "teacher/attention": as the student's.
        "codebook/...":      as `Units` gives them.

        Masks are the student's.
        """
        student = self.student.clone(parent=None, name=None)
        rngs = {name: self.make_rng(name) for name in ("augment", "dropout") if self.has_rng(name)}
        if self.is_initializing():
            drawn = student.init(self.make_rng("params"), batch, train=False)["params"]
            for name, part in drawn.items():
                self.param(name, lambda _, part=part: part)
            params: Any = nn.unbox(drawn)
        else:
            params = self.variables["params"]
        own = Wanted(tuple(layer for layer, _ in self.pairs), self.attention)
        outputs, seen = student.apply(
            {"params": params}, batch, train=train, rngs=rngs, mutable=own.collections
        )
        outputs = dict(outputs)
        frames = outputs["encoder"]
        if self.codebook is not None:
            codes = self.codebook.predict(frames, batch.audio, batch.lessons.get(CODES))
            outputs |= {f"codebook/{name}": value for name, value in codes.items()}
        lesson = lesson_of(outputs, seen, own)
        if lesson.states is not None:
            outputs["student/states"] = lesson.states
            if self.projects:
                matching = Matching(self.teachers[0].encoder.embed_dim, name=MATCHING)
                outputs["student/projected"] = Padded(matching(lesson.states.values), frames.mask)
        if lesson.attention is not None:
            outputs["student/attention"] = lesson.attention
        if self.teachers and not self.is_initializing():
            outputs |= self._lessons(batch, outputs)
        return outputs

    @property
    def wanted(self) -> Wanted:
        """What is looked at of the first teacher."""
        return Wanted(self._layers, self.attention)

    @property
    def _layers(self) -> tuple[int, ...]:
        return tuple(layer for _, layer in self.pairs)

    def _lessons(self, batch: Batch, outputs: Mapping[str, Any]) -> dict[str, Padded]:
        frames: Encoded = outputs["encoder"]
        if batch.lessons:
            lesson = recorded(batch.lessons, self._layers, vocab_size=self.student.vocab_size)
        else:
            lesson = joint_lesson(
                self.teachers,
                self.weights,
                [self._params_of(number) for number in range(len(self.teachers))],
                batch,
                self.wanted,
                parts=self.parts,
                encoded=frames if self.shares_encoder else None,
            )
        taught = {
            f"teacher/{name}": Padded(said.values, outputs[name].mask)
            for name, said in lesson.logits.items()
            if name in outputs
        }
        return taught | self._layers_of(lesson, frames)

    def _params_of(self, number: int) -> Any:
        given = read_collection(self, "teacher")
        if given:
            return given[str(number)]
        average = read_collection(self, "average")
        if not average:
            raise UserError("model: its teachers' parameters were not given, nor an average")
        return average

    def _layers_of(self, lesson: Lesson, frames: Padded) -> dict[str, Padded]:
        if lesson.states is None:
            return {}
        states = at_same_times(
            lesson.states,
            there=samples_per_frame(self.teachers[0]),
            here=samples_per_frame(self.student),
            num_frames=frames.mask.shape[1],
        )
        found = {"teacher/states": Padded(states, frames.mask)}
        if lesson.attention is not None:
            found["teacher/attention"] = Padded(lesson.attention.values, frames.mask)
        return found


def uniform_pairs(student_layers: int, teacher_layers: int) -> tuple[tuple[int, int], ...]:
    """Every layer of the student with one of the teacher's, evenly spaced, the last with the last.

    Jiao et al. 2020, "TinyBERT", section 4.2.
    """
    return tuple(
        (layer, max(1, round(layer * teacher_layers / student_layers)))
        for layer in range(1, student_layers + 1)
    )
