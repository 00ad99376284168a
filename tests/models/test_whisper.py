"""Whisper against transformers', which is written apart from ours."""

import functools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_models import draw, make_batch, quick_jit, shapes

from jasr.errors import UserError
from jasr.models.whisper import SIZES, WhisperSize, whisper
from jasr.types import Padded

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

PUBLISHED_MILLIONS = {"tiny": 39, "base": 74, "small": 244, "medium": 769, "large": 1550}
SMALL = WhisperSize(
    num_layers=2, embed_dim=32, num_heads=4, vocab_size=51, start_id=1, max_frames=12, max_tokens=10
)


@dataclass(frozen=True)
class GivenFeatures:
    """A front end that reads log-mel out of the waveform's place."""

    num_mels: int

    def __call__(self, audio):
        features = audio.values.reshape(len(audio.values), -1, self.num_mels)
        return Padded(features, jnp.ones(features.shape[:2], bool))


@pytest.mark.parametrize("name", sorted(SIZES))
def test_parameter_count_is_that_of_transformers(name):
    size = SIZES[name]
    with torch.device("meta"):
        theirs = transformers.WhisperForConditionalGeneration(their_config(size))
    # Theirs holds the encoder's sinusoids as a frozen parameter, ours computes them.
    sinusoids = theirs.model.encoder.embed_positions.weight.numel()
    assert count_ours(name) == sum(p.numel() for p in theirs.parameters()) - sinusoids


@pytest.mark.parametrize(("name", "millions"), PUBLISHED_MILLIONS.items())
def test_parameter_count_is_the_published_one(name, millions):
    # The published figures are rounded, and stand 0.5 to 5 % above what the released weights hold.
    assert 0.95 * millions < count_ours(name) / 1e6 < millions


def test_logits_are_those_of_transformers():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2, 2 * SMALL.max_frames, SMALL.num_mels)).astype(np.float32)
    text = rng.integers(3, SMALL.vocab_size, (2, 7)).astype(np.int32)
    theirs = transformers.WhisperForConditionalGeneration(their_config(SMALL)).eval()
    with torch.no_grad():
        # Far from their small initial values, so that every weight matters.
        for parameter in theirs.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.from_numpy(rng.normal(size=parameter.shape)).float() * 0.1)
        read = torch.from_numpy(np.pad(text, ((0, 0), (1, 0)), constant_values=SMALL.start_id))
        expected = theirs(
            input_features=torch.from_numpy(features).transpose(1, 2), decoder_input_ids=read.long()
        ).logits.numpy()

    model = whisper(SMALL).clone(log_mel=GivenFeatures(SMALL.num_mels))
    audio = jnp.array(features.reshape(2, -1))
    batch = make_batch([1, 1], [1, 1]).replace(
        audio=Padded(audio, jnp.ones(audio.shape, bool)),
        targets={"text": Padded(jnp.array(text), jnp.ones(text.shape, bool))},
    )
    params = from_transformers(theirs.state_dict(), SMALL)
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, draw(model, batch)["params"])
    call = quick_jit(lambda params: model.apply({"params": params}, batch, train=False))
    logits = call(params)["decoder"].values
    np.testing.assert_allclose(logits, expected, atol=1e-4)


def test_unknown_size_is_named():
    with pytest.raises(UserError, match="did you mean 'medium'"):
        whisper("mediun")


@functools.cache
def count_ours(name):
    model = whisper(name).clone(log_mel=GivenFeatures(SIZES[name].num_mels))
    batch = make_batch([SIZES[name].num_mels], [2])
    return sum(leaf.size for leaf in jax.tree.leaves(shapes(model, batch)))


def their_config(size):
    return transformers.WhisperConfig(
        vocab_size=size.vocab_size,
        num_mel_bins=size.num_mels,
        d_model=size.embed_dim,
        encoder_layers=size.num_layers,
        decoder_layers=size.decoder_layers or size.num_layers,
        encoder_attention_heads=size.num_heads,
        decoder_attention_heads=size.num_heads,
        encoder_ffn_dim=4 * size.embed_dim,
        decoder_ffn_dim=4 * size.embed_dim,
        max_source_positions=size.max_frames,
        max_target_positions=size.max_tokens,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=size.start_id,
        attn_implementation="eager",
    )


def from_transformers(state, size):
    """Our parameters from theirs."""
    state = {name: np.asarray(value) for name, value in state.items()}
    E, H, D = size.embed_dim, size.num_heads, size.embed_dim // size.num_heads

    def norm(name):
        return {"scale": state[f"{name}.weight"], "bias": state[f"{name}.bias"]}

    def linear(name):
        return {"kernel": state[f"{name}.weight"].T, "bias": state[f"{name}.bias"]}

    def attention(name):
        heads = {
            ours: {"kernel": state[f"{name}.{theirs}.weight"].T.reshape(E, H, D)}
            for ours, theirs in (("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj"))
        }
        heads["query"]["bias"] = state[f"{name}.q_proj.bias"].reshape(H, D)
        heads["value"]["bias"] = state[f"{name}.v_proj.bias"].reshape(H, D)
        out = linear(f"{name}.out_proj")
        return {**heads, "out": {**out, "kernel": out["kernel"].reshape(H, D, E)}}

    def layer(name):
        ours = {
            "self_attention": attention(f"{name}.self_attn"),
            "self_attention_norm": norm(f"{name}.self_attn_layer_norm"),
            "mlp": {"up": linear(f"{name}.fc1"), "down": linear(f"{name}.fc2")},
            "mlp_norm": norm(f"{name}.final_layer_norm"),
        }
        if "decoder" in name:
            ours["cross_attention"] = attention(f"{name}.encoder_attn")
            ours["cross_attention_norm"] = norm(f"{name}.encoder_attn_layer_norm")
        return ours

    def side(name, num_layers):
        layers = [layer(f"{name}.layers.{number}") for number in range(num_layers)]
        return {
            "layers": jax.tree.map(lambda *parts: np.stack(parts), *layers),
            "final_norm": norm(f"{name}.layer_norm"),
        }

    def convolution(name):
        return {
            "kernel": state[f"{name}.weight"].transpose(2, 1, 0),
            "bias": state[f"{name}.bias"],
        }

    encoder, decoder = "model.encoder", "model.decoder"
    return {
        "token_embedding": {"embedding": state[f"{decoder}.embed_tokens.weight"]},
        "encoder": {
            "stem": {
                "conv_0": convolution(f"{encoder}.conv1"),
                "conv_1": convolution(f"{encoder}.conv2"),
            },
            **side(encoder, size.num_layers),
        },
        "decoder": {
            "positions": {"embedding": state[f"{decoder}.embed_positions.weight"]},
            **side(decoder, size.decoder_layers or size.num_layers),
        },
    }
