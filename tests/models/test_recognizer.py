"""The recogniser as a whole: outputs, parameters, what training changes, precision."""

import functools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from tiny_models import VOCAB_SIZE, draw, make_batch, make_recognizer, quick_jit, shapes

from jasr.errors import UserError
from jasr.layers.stack import SAVED
from jasr.models.conformer_encoder import ConformerEncoder
from jasr.models.pretraining.span_mask import SpanMask
from jasr.sharding.presets import DATA_PARALLEL
from jasr.types import Encoded

BATCH = make_batch([13, 20, 7], [3, 5, 1])


@pytest.fixture(scope="module")
def variables():
    return draw(make_recognizer(), BATCH)


def run(model, variables, batch=BATCH, *, train=False, seed=0):
    return compiled(model, train)(variables, batch, jax.random.key(seed))


@functools.cache
def compiled(model, train):
    def call(variables, batch, key):
        rngs = {"dropout": key, "augment": key}
        return model.apply(variables, batch, train=train, rngs=rngs)

    return quick_jit(call)


def of_both(**fields):
    return make_recognizer(encoder=fields, decoder=fields)


def test_outputs_and_their_masks(variables):
    outputs = run(make_recognizer(), variables)
    assert set(outputs) == {"encoder", "ctc", "decoder", "decoder_factors"}
    assert outputs["ctc"].values.shape == (3, 10, VOCAB_SIZE)
    assert outputs["ctc"].lengths().tolist() == [7, 10, 4]
    assert outputs["decoder"].values.shape == (3, 6, VOCAB_SIZE)
    assert outputs["decoder"].lengths().tolist() == [4, 6, 2]
    factors = outputs["decoder_factors"]
    product = factors.values @ factors.vocabulary.T
    np.testing.assert_allclose(product, outputs["decoder"].values, 1e-4, 1e-5)


def test_filler_rows_are_masked_throughout_and_finite(variables):
    outputs = run(make_recognizer(), variables, make_batch([13, 20, 0], [3, 5, 0]))
    for output in outputs.values():
        assert not output.mask[2].any()
        assert jnp.isfinite(output.values).all()


def test_heads_are_optional():
    ctc_only = make_recognizer().clone(decoder=None)
    assert set(shapes(ctc_only, BATCH)["params"]) == {"encoder", "ctc_head"}
    assert set(run(ctc_only, draw(ctc_only, BATCH))) == {"encoder", "ctc"}
    untied = make_recognizer(ctc=False, tied_embeddings=False)
    params = shapes(untied, BATCH)["params"]
    assert set(params) == {"encoder", "decoder", "token_embedding"}
    assert set(params["token_embedding"]) == {"embedding", "output"}
    outputs = run(untied, draw(untied, BATCH))
    assert set(outputs) == {"encoder", "decoder", "decoder_factors"}
    factors = outputs["decoder_factors"]
    product = factors.values @ factors.vocabulary.T
    np.testing.assert_allclose(product, outputs["decoder"].values, 1e-4, 1e-5)
    with pytest.raises(UserError, match="neither ctc nor decoder"):
        shapes(ctc_only.clone(ctc=False), BATCH)


def test_decoding_with_a_head_that_is_not_there(variables):
    encoded = Encoded(jnp.zeros((1, 4, 16)), jnp.ones((1, 4), bool))
    with pytest.raises(UserError, match="has no CTC head"):
        make_recognizer(ctc=False).apply(variables, encoded, method="ctc_logits")
    start_cache = functools.partial(make_recognizer().clone(decoder=None).apply, variables)
    with pytest.raises(UserError, match="has no decoder"):
        start_cache(encoded, beam_size=1, max_tokens=3, method="start_cache")


def test_decoding_methods_agree_with_the_whole(variables):
    model = make_recognizer()
    whole = run(model, variables)
    encoded = model.apply(variables, BATCH, method="encode")
    np.testing.assert_allclose(encoded.values, whole["encoder"].values, atol=1e-5)
    ctc = model.apply(variables, encoded, method="ctc_logits")
    np.testing.assert_allclose(ctc.values, whole["ctc"].values, atol=1e-5)
    cache = model.apply(variables, encoded, beam_size=1, max_tokens=6, method="start_cache")
    step = jax.jit(
        lambda tokens, cache: model.apply(variables, tokens, cache, method="decode_step")
    )
    read = np.pad(BATCH.targets["text"].values, ((0, 0), (1, 0)), constant_values=model.start_id)
    for position in range(6):
        logits, cache = step(read[:, position : position + 1], cache)
        expected = whole["decoder"].values[:, position]
        np.testing.assert_allclose(logits[:, 0], expected, atol=1e-5)


@pytest.mark.parametrize(
    "model",
    [
        make_recognizer(tied_embeddings=False, encoder={"position": "relative"}),
        make_recognizer(encoder_class=ConformerEncoder, encoder={"stem": "conv2d_4x"}),
        of_both(position="learned", activation="swiglu", norm="post"),
    ],
    ids=["transformer", "conformer", "post-norm"],
)
def test_every_axis_of_every_parameter_has_a_name_of_the_sharding_rules(model):
    boxed = shapes(model, BATCH)["params"]
    is_box = lambda leaf: isinstance(leaf, nn.LogicallyPartitioned)  # noqa: E731
    for path, box in jax.tree_util.tree_leaves_with_path(boxed, is_leaf=is_box):
        assert is_box(box), path
        assert len(box.names) == len(box.value.shape), path
        assert set(box.names) <= set(DATA_PARALLEL), path
        assert box.value.dtype == jnp.float32, path
        assert (box.names[0] == "layers") == ("layers" in jax.tree_util.keystr(path)), path


def test_every_parameter_is_learned(variables):
    model = make_recognizer()

    def loss(variables):
        outputs = model.apply(variables, BATCH, train=False)
        heads = (outputs["ctc"], outputs["decoder"])
        return sum(jnp.sum(jnp.sin(h.values) * h.mask[..., None]) for h in heads)

    gradients = quick_jit(jax.grad(loss))(variables)
    for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
        assert gradient.any(), path


def test_layers_may_be_unrolled(variables):
    rolled, unrolled = run(make_recognizer(), variables), run(of_both(unroll=2), variables)
    for name, output in rolled.items():
        np.testing.assert_allclose(unrolled[name].values, output.values, atol=1e-5)


def test_what_is_saved_for_the_gradient_does_not_change_it():
    def loss(remat):
        model = make_recognizer(encoder={"remat": remat, "dropout": 0.2, "layer_drop": 0.3})
        model = model.clone(decoder=None)
        rngs = {"dropout": jax.random.key(4)}
        outputs = lambda v: model.apply(v, BATCH, train=True, rngs=rngs)  # noqa: E731
        return lambda variables: jnp.sum(jnp.sin(outputs(variables)["ctc"].values))

    def num_saved(remat):
        residuals = jax.eval_shape(lambda v: jax.vjp(loss(remat), v)[1], variables)
        return sum(leaf.size for leaf in jax.tree.leaves(residuals))

    variables = draw(make_recognizer().clone(decoder=None), BATCH)
    gradients = {name: quick_jit(jax.grad(loss(name)))(variables) for name in SAVED}
    for gradient in gradients.values():
        jax.tree.map(
            lambda one, other: np.testing.assert_allclose(one, other, atol=1e-4),
            gradient,
            gradients["none"],
        )
    saved = [num_saved(name) for name in SAVED]
    assert saved == sorted(set(saved), reverse=True)


@pytest.mark.parametrize("field", ["dropout", "layer_drop"])
def test_randomness_is_for_training(field, variables):
    model = of_both(**{field: 0.5})
    still = run(make_recognizer(), variables)
    for name, output in run(model, variables).items():
        np.testing.assert_array_equal(output.values, still[name].values)
    one, same, other = (run(model, variables, train=True, seed=seed) for seed in (0, 0, 3))
    for name in one:
        np.testing.assert_array_equal(one[name].values, same[name].values)
        assert not np.allclose(one[name].values, other[name].values)


def test_a_layer_that_is_dropped_does_nothing(variables):
    """With the layers all dropped, what remains of an encoder is its stem, positions and norm."""
    model = of_both(layer_drop=1.0)
    doubled = jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf * 2 if "layers" in jax.tree_util.keystr(path) else leaf, variables
    )
    one, other = run(model, variables, train=True), run(model, doubled, train=True)
    for name in one:
        np.testing.assert_array_equal(one[name].values, other[name].values)


@dataclass(frozen=True)
class Noise:
    """Adds to each example noise drawn from its key."""

    def __call__(self, features, keys):
        noise = jax.vmap(lambda key: jax.random.normal(key, features.values.shape[1:]))(keys)
        return features.replace(values=features.values + noise)


def test_augmentation_is_for_training_and_follows_the_example(variables):
    model, plain = make_recognizer(spec_augment=Noise()), make_recognizer()
    np.testing.assert_array_equal(
        run(model, variables)["ctc"].values, run(plain, variables)["ctc"].values
    )
    augmented = run(model, variables, train=True)["ctc"].values
    assert not np.allclose(augmented, run(plain, variables)["ctc"].values, atol=1e-2)
    backwards = jax.tree.map(lambda leaf: leaf[::-1], BATCH)
    np.testing.assert_allclose(
        run(model, variables, backwards, train=True)["ctc"].values[::-1], augmented, atol=1e-5
    )


def test_frames_are_masked_in_training_as_the_example_says():
    plain, model = make_recognizer(), make_recognizer(span_mask=SpanMask(0.2, span_length=3))
    variables = draw(model, BATCH)
    assert "mask_embedding" in variables["params"]
    outputs = run(model, variables)
    for name, same in run(plain, variables).items():
        np.testing.assert_allclose(outputs[name].values, same.values, 1e-5, 1e-6)
    masked, again = (run(model, variables, train=True) for _ in range(2))
    np.testing.assert_array_equal(masked["ctc"].values, again["ctc"].values)
    assert np.abs(masked["ctc"].values - outputs["ctc"].values).max() > 1e-2
    # The last utterance alone is masked as it is among the others.
    row = slice(2, 3)
    alone = run(model, variables, jax.tree.map(lambda leaf: leaf[row], BATCH), train=True)
    np.testing.assert_allclose(alone["ctc"].values, masked["ctc"].values[row], 1e-4, 1e-4)


def test_bfloat16_products_with_float32_logits(variables):
    exact, rounded = run(make_recognizer(), variables), run(of_both(dtype="bfloat16"), variables)
    assert rounded["encoder"].values.dtype == jnp.bfloat16
    for name in ("ctc", "decoder"):
        assert rounded[name].values.dtype == jnp.float32
        np.testing.assert_allclose(rounded[name].values, exact[name].values, atol=0.1)
        assert not np.array_equal(rounded[name].values, exact[name].values)
    assert all(
        x.dtype == jnp.float32 for x in jax.tree.leaves(shapes(of_both(dtype="bfloat16"), BATCH))
    )
