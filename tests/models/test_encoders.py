"""What must hold of every encoder, whatever it is made of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_models import draw, make_batch, make_recognizer, quick_jit, shapes

from jasr.errors import UserError
from jasr.models.conformer_encoder import ConformerEncoder
from jasr.models.transformer_encoder import TransformerEncoder

TRANSFORMERS = [
    {"position": "sinusoidal", "norm": "pre", "activation": "gelu", "stem": "whisper"},
    {"position": "learned", "norm": "post", "activation": "relu", "stem": "conv1d_4x"},
    {"position": "rotary", "norm": "post", "activation": "swiglu", "stem": "conv2d_4x"},
    {"position": "relative", "norm": "pre", "activation": "silu", "stem": "conv1d_8x"},
    {"position": "none", "norm": "pre", "activation": "gelu", "stem": "whisper"},
]
CONFORMERS = [
    {"position": "rotary", "kernel_size": 5, "stem": "conv2d_4x"},
    {"position": "relative", "kernel_size": 4, "activation": "swiglu"},
]
CASES = [(TransformerEncoder, fields) for fields in TRANSFORMERS]
CASES += [(ConformerEncoder, fields) for fields in CONFORMERS]


class Case:
    def __init__(self, encoder_class, fields):
        self.model = make_recognizer(encoder_class=encoder_class, encoder=fields)
        self.model = self.model.clone(decoder=None)
        self.batch = make_batch([13, 20, 7], [3, 5, 1], frames=24)
        self.variables = draw(self.model, self.batch)
        self.encode = quick_jit(
            lambda audio: self.model.apply(
                self.variables, self.batch.replace(audio=audio), method="encode"
            )
        )
        self.encoded = self.encode(self.batch.audio)


@pytest.fixture(scope="module", params=CASES, ids=lambda c: f"{c[0].__name__}-{c[1]['position']}")
def case(request):
    return Case(*request.param)


def test_frames_are_finite_and_as_many_as_the_mask_says(case):
    stride = {"whisper": 2, "conv1d_4x": 4, "conv2d_4x": 4, "conv1d_8x": 8}
    stride = stride[case.model.encoder.stem]
    expected = [-(-13 // stride), -(-20 // stride), -(-7 // stride)]
    assert case.encoded.lengths().tolist() == expected
    assert jnp.isfinite(case.encoded.values).all()
    assert not case.encoded.values[~case.encoded.mask].any()


def test_what_lies_in_the_padding_does_not_matter(case):
    audio = case.batch.audio
    loud = audio.replace(values=jnp.where(audio.mask, audio.values, 1e3))
    np.testing.assert_allclose(case.encode(loud).values, case.encoded.values, atol=2e-6)


def test_batch_mates_do_not_matter(case):
    audio = case.batch.audio
    others = jax.tree.map(lambda x: x.at[1].set(x[2]).at[2].set(x[1]), audio)
    others = others.replace(mask=others.mask.at[1].set(False))
    np.testing.assert_allclose(case.encode(others).values[0], case.encoded.values[0], atol=2e-6)
    assert jnp.isfinite(case.encode(others).values).all()


@pytest.mark.parametrize(
    ("encoder_class", "fields"),
    [
        (TransformerEncoder, {"position": "relative", "stem": "conv1d_8x"}),
        (ConformerEncoder, {"position": "rotary", "stem": "conv2d_4x", "kernel_size": 5}),
    ],
)
def test_no_gradient_leaks_into_padding_or_batch_mates(encoder_class, fields):
    case = Case(encoder_class, fields)
    audio = case.batch.audio

    @quick_jit
    @jax.grad
    def gradient(values):
        batch = case.batch.replace(audio=audio.replace(values=values))
        encoded = case.model.apply(case.variables, batch, method="encode")
        return jnp.sum(encoded.values[1, :, 0])

    by_sample = gradient(audio.values)
    assert jnp.isfinite(by_sample).all()
    assert (by_sample[1] != 0).tolist() == audio.mask[1].tolist()
    assert not by_sample[0].any()
    assert not by_sample[2].any()


@pytest.mark.parametrize("encoder_class", [TransformerEncoder, ConformerEncoder])
def test_amount_of_padding_does_not_matter(encoder_class):
    case = Case(encoder_class, {"position": "relative"})
    longer = case.encode(make_batch([13, 20, 7], [3, 5, 1], frames=40).audio)
    num_frames = case.encoded.values.shape[1]
    np.testing.assert_allclose(longer.values[:, :num_frames], case.encoded.values, atol=2e-6)
    assert longer.lengths().tolist() == case.encoded.lengths().tolist()


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"position": "rotatory"}, "position: there is no 'rotatory'; did you mean 'rotary'"),
        ({"norm": "prae"}, "norm: there is no 'prae'; did you mean 'pre'"),
        ({"activation": "gleu"}, "activation: .* did you mean 'gelu'"),
        ({"stem": "conv3d"}, "stem: there is no 'conv3d'"),
        ({"remat": "fully"}, "remat: there is no 'fully'; did you mean 'full'"),
        ({"num_heads": 3}, "num_heads: embed_dim 16 cannot be divided into 3 heads"),
        ({"position": "learned", "max_frames": 5}, "longer than the 5 that the model has learned"),
        ({"position": "rotary", "num_heads": 16}, "rotary needs an even"),
    ],
)
def test_a_field_that_cannot_be_is_named(fields, complaint):
    batch = make_batch([13], [3])
    model = make_recognizer().clone(decoder=None)
    model = model.clone(encoder=model.encoder.clone(**fields))
    with pytest.raises(UserError, match=complaint):
        shapes(model, batch)
