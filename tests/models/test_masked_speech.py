"""Masked prediction: what heads give, that nothing leaks, and parity with wav2vec 2.0."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft
from flax import linen as nn
from tiny_models import SIZES, Frames, draw, make_batch, quick_jit

from jasr.audio.raw_waveform import RawWaveform
from jasr.errors import UserError
from jasr.layers.waveform_stem import WaveformStem
from jasr.models.conformer_encoder import ConformerEncoder
from jasr.models.pretraining.best_rq import BestRQ
from jasr.models.pretraining.clusters import Cepstra, Clusters, TeacherLayer
from jasr.models.pretraining.contrastive import Contrastive
from jasr.models.pretraining.data2vec import Data2Vec
from jasr.models.pretraining.head import MaskedFrames
from jasr.models.pretraining.masked_speech import MaskedSpeech, layer_outputs
from jasr.models.pretraining.span_mask import SpanMask
from jasr.models.pretraining.units import Units
from jasr.models.transformer_encoder import TransformerEncoder
from jasr.objectives.contrastive import CodeDiversity, ContrastiveLoss
from jasr.objectives.masked_prediction import MaskedPrediction
from jasr.objectives.masked_regression import MaskedRegression
from jasr.types import Padded

NUM_CEPSTRA = 3
CLUSTERS = Clusters(
    Cepstra(Frames(), stride=4, num_cepstra=NUM_CEPSTRA), num_clusters=6, num_codebooks=2
)
HEADS = {
    "best_rq": BestRQ(num_codes=12, code_dim=4, num_codebooks=2, num_cepstra=NUM_CEPSTRA),
    "contrastive": Contrastive(num_codes=6, code_dim=8, dim=8, num_distractors=4),
    "data2vec": Data2Vec(top_layers=2),
    "units": Units(CLUSTERS, code_dim=8),
}
OBJECTIVES = {
    "best_rq": MaskedPrediction("best_rq"),
    "contrastive": ContrastiveLoss("contrastive"),
    "data2vec": MaskedRegression("data2vec"),
    "units": MaskedPrediction("units"),
}


def make_model(heads=HEADS, encoder=TransformerEncoder, **fields):
    return MaskedSpeech(
        log_mel=Frames(),
        encoder=encoder(**SIZES, stem="conv1d_4x", position="rotary", **fields),
        span_mask=SpanMask(0.15, 3),
        heads=heads,
    )


def given_clusters(seed=3):
    rng = np.random.default_rng(seed)
    return {
        "mean": rng.normal(size=36).astype(np.float32),
        "std": np.float32(1.7),
        "centroids": rng.normal(size=(2, 6, 36)).astype(np.float32),
    }


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture(scope="module")
def variables(model):
    drawn = draw(model, make_batch([128], [2]))
    return {
        "params": drawn["params"],
        "average": jax.tree.map(lambda leaf: leaf * 0.9, drawn["params"]),
        "clusters": given_clusters(),
    }


@pytest.fixture(scope="module")
def run(model):
    return quick_jit(
        functools.partial(model.apply, train=False, rngs={"augment": jax.random.key(5)})
    )


def test_a_row_s_outputs_do_not_depend_on_batch_mates_or_padding(run, variables):
    together = run(variables, make_batch([128, 77, 40], [1, 1, 1]))
    alone = run(variables, make_batch([128, 77], [1, 1], frames=128))
    for name, output in together.items():
        real = np.asarray(output.mask[1])
        for values, others in ((output.values[1], alone[name].values[1]),):
            np.testing.assert_allclose(
                np.asarray(values)[real], np.asarray(others)[real], atol=2e-5, err_msg=name
            )


@pytest.mark.parametrize("encoder", [TransformerEncoder, ConformerEncoder])
def test_what_is_masked_cannot_be_seen(encoder):
    """The layers' output does not change with a masked frame of the stem's."""
    model = make_model({"data2vec": Data2Vec()}, encoder)
    batch = make_batch([128], [1])
    variables = draw(model, batch)
    features = Frames()(batch.audio)
    embed = functools.partial(model.encoder.apply, {"params": variables["params"]["encoder"]})
    frames = embed(features, method="embed")
    masked = np.asarray(SpanMask(0.15, 3)(frames.mask, jax.random.split(jax.random.key(0), 1)))

    def encoded(values):
        hidden = jnp.where(masked[..., None], 0.3, values)
        return embed(Padded(hidden, frames.mask), train=False, method="contextualize").values

    gradient = jax.grad(lambda values: jnp.sum(jnp.sin(encoded(values))))(frames.values)
    assert np.all(np.asarray(gradient)[masked] == 0)
    assert np.all(np.any(np.asarray(gradient)[~masked] != 0, axis=-1))


def test_masked_frames_are_replaced_by_the_learned_vector(model, variables):
    """Two recordings that differ in masked spans alone give the same frames."""
    batch = make_batch([128], [1])
    apply = functools.partial(model.apply, train=False, rngs={"augment": jax.random.key(5)})
    first = apply(variables, batch)
    masked = np.asarray(first["masked"].values[0])
    assert masked.any()
    assert not masked.all()
    audio = np.array(batch.audio.values)
    for frame in np.flatnonzero(masked):
        audio[0, 16 * frame : 16 * frame + 16] += 1.0
    second = apply(variables, batch.replace(audio=Padded(jnp.array(audio), batch.audio.mask)))
    np.testing.assert_allclose(first["encoder"].values, second["encoder"].values, atol=1e-5)
    # Of frames alone, what is masked is seen at the edges of spans, through the stem.
    of_frames = functools.partial(
        model.clone(mask_features=False).apply, train=False, rngs={"augment": jax.random.key(5)}
    )
    changed = batch.replace(audio=Padded(jnp.array(audio), batch.audio.mask))
    first_too, second_too = (
        of_frames(variables, one)["encoder"].values for one in (batch, changed)
    )
    assert not np.allclose(first_too, second_too, atol=1e-3)
    # What is predicted does see them.
    assert np.any(first["best_rq/codes"].values != second["best_rq/codes"].values)


def test_targets_send_no_gradient_to_the_quantiser_s_input_or_the_teacher(model, variables):
    batch = make_batch([128, 100], [1, 1])

    def target_sum(params):
        outputs = model.apply(
            variables | {"params": params, "average": params},
            batch,
            train=False,
            rngs={"augment": jax.random.key(5)},
        )
        return jnp.sum(outputs["data2vec/target"].values)

    gradients = jax.grad(target_sum)(variables["params"])
    assert all(np.all(np.asarray(leaf) == 0) for leaf in jax.tree.leaves(gradients))


def test_random_codes_are_those_of_the_equations(variables, run):
    batch = make_batch([128], [1])
    codes = np.asarray(run(variables, batch)["best_rq/codes"].values)[0]
    head = HEADS["best_rq"]
    of_projection, of_codes = jax.random.split(jax.random.key(head.seed))
    size = 3 * 4 * NUM_CEPSTRA
    limit = np.sqrt(6 / (size + 4))
    projection = jax.random.uniform(of_projection, (2, size, 4), minval=-limit, maxval=limit)
    book = np.asarray(jax.random.normal(of_codes, (2, 12, 4)))
    features = np.asarray(Frames()(batch.audio).values)[0]
    own = scipy.fft.dct(features, norm="ortho", axis=-1)[:, :NUM_CEPSTRA].reshape(len(codes), -1)
    around = np.pad(own, ((1, 1), (0, 0)))
    described = np.concatenate([around[:-2], own, around[2:]], axis=1)
    described = (described - described.mean(axis=0)) / np.sqrt(described.var(axis=0) + 1e-5)
    for number in range(2):
        projected = described @ np.asarray(projection[number])
        projected /= np.linalg.norm(projected, axis=1, keepdims=True)
        unit_book = book[number] / np.linalg.norm(book[number], axis=1, keepdims=True)
        distance = np.linalg.norm(projected[:, None] - unit_book, axis=-1)
        np.testing.assert_array_equal(codes[:, number], distance.argmin(axis=1))


def test_clusters_are_the_nearest_centroids_of_what_is_left(variables):
    batch = make_batch([128, 90], [1, 1])
    found = CLUSTERS(variables["clusters"], batch.audio)
    described = CLUSTERS.describe({}, batch.audio)
    scaled = (described.values - variables["clusters"]["mean"]) / variables["clusters"]["std"]
    left = np.asarray(scaled)
    for number, centroids in enumerate(variables["clusters"]["centroids"]):
        nearest = np.linalg.norm(left[:, :, None] - centroids, axis=-1).argmin(axis=-1)
        np.testing.assert_array_equal(found.values[..., number], nearest)
        left = left - centroids[nearest]


def test_a_teacher_s_layer_is_that_layer_s_output(model, variables):
    batch = make_batch([128, 90], [1, 1])
    params = variables["params"]["encoder"]
    describe = TeacherLayer(Frames(), model.encoder, layer=1)
    described = describe({"teacher": params}, batch.audio)
    states = layer_outputs(model.encoder, params, Frames()(batch.audio))
    np.testing.assert_allclose(described.values, states.values[0], atol=1e-5)


def test_data2vec_s_target_is_the_normalised_mean_of_the_teacher_s_layers(model, variables, run):
    batch = make_batch([128, 90], [1, 1])
    outputs = run(variables, batch)
    states = layer_outputs(
        model.encoder, variables["average"]["encoder"], Frames()(batch.audio)
    ).values
    real = np.asarray(outputs["data2vec/target"].mask[1])
    layers = np.asarray(states)[:, 1, real]
    normal = (layers - layers.mean(axis=1, keepdims=True)) / np.sqrt(
        layers.var(axis=1, keepdims=True) + 1e-5
    )
    np.testing.assert_allclose(
        np.asarray(outputs["data2vec/target"].values)[1, real], normal.mean(axis=0), atol=1e-4
    )


def test_without_an_average_data2vec_says_what_to_set(model, variables):
    rest = {name: value for name, value in variables.items() if name != "average"}
    with pytest.raises(UserError, match=r"config.optimizer.average"):
        model.apply(rest, make_batch([128], [1]), train=False, rngs={"augment": jax.random.key(0)})


@pytest.mark.parametrize("name", OBJECTIVES)
def test_only_real_masked_frames_count(name, run, variables):
    batch = make_batch([128, 77, 0], [1, 1, 1])
    outputs = run(variables, batch)
    terms = OBJECTIVES[name](outputs, batch)
    codebooks = 2 if name in ("best_rq", "units") else 1
    assert float(terms.loss.count) == codebooks * np.sum(np.asarray(outputs["masked"].values))
    garbled = {
        key: Padded(
            jnp.where(
                outputs["masked"].values.reshape(
                    value.values.shape[:2] + (1,) * (value.values.ndim - 2)
                )
                if value.values.ndim >= 2
                else True,
                value.values,
                value.values[::-1],
            ),
            value.mask,
        )
        if key.startswith(f"{name}/") and key.split("/")[1] in ("logits", "prediction")
        else value
        for key, value in outputs.items()
    }
    np.testing.assert_allclose(OBJECTIVES[name](garbled, batch).loss.value, terms.loss.value)


def test_loss_of_two_batches_is_the_sum(run, variables):
    """Sums and counts of a batch are those of its halves."""
    whole = make_batch([128, 77, 40, 128], [1, 1, 1, 1])
    halves = [
        jax.tree.map(lambda leaf, part=part: leaf[part], whole)
        for part in (slice(0, 2), slice(2, 4))
    ]
    for name, objective in OBJECTIVES.items():
        together = objective(run(variables, whole), whole).loss
        apart = [objective(run(variables, half), half).loss for half in halves]
        np.testing.assert_allclose(
            together.value, sum(float(part.value) for part in apart), rtol=1e-4, err_msg=name
        )
        assert together.count == sum(part.count for part in apart)


@pytest.fixture(scope="module")
def wav2vec():
    """transformers' model, and what it makes of two recordings under given masks."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from transformers.models.wav2vec2.modeling_wav2vec2 import _sample_negative_indices

    torch.manual_seed(0)
    config = transformers.Wav2Vec2Config(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        conv_dim=(24, 24, 24),
        conv_stride=(5, 4, 2),
        conv_kernel=(10, 8, 4),
        num_feat_extract_layers=3,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
        num_codevectors_per_group=10,
        num_codevector_groups=2,
        codevector_dim=16,
        proj_codevector_dim=12,
        num_negatives=7,
        contrastive_logits_temperature=0.1,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
    )
    theirs = transformers.Wav2Vec2ForPreTraining(config).eval()
    audio = torch.randn(2, 4000)
    frames = int(theirs._get_feat_extract_output_lengths(4000))
    masked = np.random.default_rng(0).random((2, frames)) < 0.5
    negatives = _sample_negative_indices((2, frames), 7, masked)
    with torch.no_grad():
        seen = theirs(
            audio,
            mask_time_indices=torch.tensor(masked),
            sampled_negative_indices=torch.tensor(negatives),
        )
        states, extracted = theirs.wav2vec2(audio, mask_time_indices=torch.tensor(masked))[:2]
    return theirs, seen, states.numpy(), extracted.numpy(), masked, negatives


def test_contrastive_loss_is_that_of_transformers(wav2vec):
    """Same weights, masks and distractors: quantiser, projections and loss agree to 1e-4."""
    theirs, seen, states, extracted, masked, negatives = wav2vec
    head = Contrastive(num_codes=10, code_dim=16, dim=12, num_distractors=7)
    weights = {name: value.detach().numpy() for name, value in theirs.named_parameters()}
    width = extracted.shape[-1]
    params = {
        "frames_norm": {"scale": np.ones(width), "bias": np.zeros(width)},
        "code_logits": {
            "kernel": weights["quantizer.weight_proj.weight"].T.reshape(width, 2, 10),
            "bias": weights["quantizer.weight_proj.bias"].reshape(2, 10),
        },
        "codes": weights["quantizer.codevectors"].reshape(2, 10, 8),
        "project_context": {
            "kernel": weights["project_hid.weight"].T,
            "bias": weights["project_hid.bias"],
        },
        "project_quantized": {
            "kernel": weights["project_q.weight"].T,
            "bias": weights["project_q.bias"],
        },
    }
    mask = jnp.ones(masked.shape, bool)
    batch = make_batch([128, 128], [1, 1])
    frames = MaskedFrames(
        features=Padded(jnp.zeros((*masked.shape, 1)), mask),
        frames=Padded(jnp.asarray(extracted), mask),
        encoded=Padded(jnp.asarray(states), mask),
        masked=jnp.asarray(masked),
        keys=jax.random.split(jax.random.key(0), 2),
        teacher_states=lambda: jnp.zeros(()),
    )
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), params)
    outputs = head.apply({"params": params}, frames, batch, train=False)
    places = negatives - np.arange(2)[:, None, None] * masked.shape[1]
    outputs = {f"contrastive/{name}": value for name, value in outputs.items()}
    outputs["contrastive/distractors"] = Padded(jnp.asarray(places), mask)
    outputs["masked"] = Padded(jnp.asarray(masked), mask)
    ours = ContrastiveLoss("contrastive")(outputs, batch).loss
    assert int(ours.count) == masked.sum()
    np.testing.assert_allclose(
        ours.value / ours.count, float(seen.contrastive_loss) / masked.sum(), rtol=1e-4
    )


def test_diversity_is_that_of_transformers(wav2vec):
    torch = pytest.importorskip("torch")
    theirs, _, _, _, masked, _ = wav2vec
    logits = np.random.default_rng(1).normal(size=(*masked.shape, 2, 10)).astype(np.float32)
    probabilities = torch.softmax(torch.tensor(logits), dim=-1).reshape(-1, 2, 10)
    perplexity = theirs.quantizer._compute_perplexity(probabilities, torch.tensor(masked))
    expected = (20 - float(perplexity)) / 20
    mask = jnp.ones(masked.shape, bool)
    outputs = {
        "contrastive/code_logits": Padded(jnp.asarray(logits), mask),
        "masked": Padded(jnp.asarray(masked), mask),
    }
    terms = CodeDiversity("contrastive")(outputs, make_batch([128, 128], [1, 1]))
    np.testing.assert_allclose(terms.loss.mean(), expected, rtol=1e-4)
    np.testing.assert_allclose(terms.metrics["perplexity"].value, float(perplexity), rtol=1e-4)


def test_codes_of_training_are_drawn_and_what_they_are_drawn_from_learns():
    """Gumbel: as often as the softmax of the logits says, whatever the temperature."""
    head = Contrastive(num_groups=1, num_codes=4, code_dim=8, dim=8, temperature=2.0, decay=0.5)
    width, length = 3, 4096
    mask = jnp.ones((1, length), bool)
    same = Padded(jnp.zeros((1, length, width)), mask)
    keys = jax.random.split(jax.random.key(0), 1)
    frames = MaskedFrames(same, same, same, mask, keys, lambda: jnp.zeros(()))
    batch = make_batch([4], [1])
    params = nn.unbox(head.init(jax.random.key(1), frames, batch, train=False))["params"]

    def run(variables):
        return head.apply(variables, frames, batch, train=True)

    bias = jnp.array([[0.0, 1.0, -1.0, 0.5]])
    params["code_logits"]["bias"] = bias
    outputs = quick_jit(run)({"params": params})
    codes = np.asarray(outputs["codes"].values)[0, :, 0]
    drawn = np.bincount(codes, minlength=4) / length
    np.testing.assert_allclose(drawn, jax.nn.softmax(bias[0]), atol=0.03)
    project = params["project_quantized"]
    expected = params["codes"][0][codes] @ project["kernel"] + project["bias"]
    np.testing.assert_allclose(outputs["quantized"].values[0], expected, atol=1e-5)

    def gradient(step):
        def total(bias):
            given = {**params, "code_logits": {**params["code_logits"], "bias": bias}}
            variables = {"params": given, "progress": {"step": step}}
            return jnp.sum(run(variables)["quantized"].values)

        return np.asarray(jax.grad(total)(bias))

    at_first, later, last, after = (gradient(step) for step in (0, 1, 10, 1000))
    assert np.abs(at_first).max() > 1
    assert np.abs(later - at_first).max() > 1e-2 * np.abs(at_first).max()
    np.testing.assert_allclose(last, after, rtol=1e-4)


def test_one_code_for_all_frames_is_no_success():
    mask = jnp.ones((1, 6), bool)
    width = jax.random.normal(jax.random.key(0), (1, 6, 4))
    logits = jnp.broadcast_to(jnp.array([5.0, 0.0, 0.0]), (1, 6, 2, 3))
    outputs = {
        "contrastive/context": Padded(width, mask),
        "contrastive/quantized": Padded(jnp.ones((1, 6, 4)), mask),
        "contrastive/codes": Padded(jnp.zeros((1, 6, 2), jnp.int32), mask),
        "contrastive/distractors": Padded(jnp.zeros((1, 6, 3), jnp.int32), mask),
        "contrastive/code_logits": Padded(logits, mask),
        "masked": Padded(mask, mask),
    }
    batch = make_batch([24], [1])
    assert ContrastiveLoss("contrastive")(outputs, batch).metrics["accuracy"].mean() == 0
    used = CodeDiversity("contrastive")(outputs, batch).metrics["code_perplexity"].mean()
    np.testing.assert_allclose(used, 2, rtol=1e-5)


def test_the_waveform_stem_is_that_of_transformers(wav2vec):
    theirs, _, _, extracted, _, _ = wav2vec
    stem = WaveformStem(strides=(5, 4, 2), embed_dim=32, channels=24, widths=(10, 8, 4))
    weights = {name: value.detach().numpy() for name, value in theirs.named_parameters()}
    convolutions = "wav2vec2.feature_extractor.conv_layers"
    projection = "wav2vec2.feature_projection"
    params = {
        "final_norm": {
            "scale": weights[f"{projection}.layer_norm.weight"],
            "bias": weights[f"{projection}.layer_norm.bias"],
        },
        "project": {
            "kernel": weights[f"{projection}.projection.weight"].T,
            "bias": weights[f"{projection}.projection.bias"],
        },
    }
    for number in range(3):
        kernel = weights[f"{convolutions}.{number}.conv.weight"].transpose(2, 1, 0)
        params[f"conv_{number}_kernel"] = kernel
        bias = weights.get(f"{convolutions}.{number}.conv.bias", np.zeros(24))
        params[f"conv_{number}_bias"] = bias
        params[f"norm_{number}"] = {
            "scale": weights[f"{convolutions}.{number}.layer_norm.weight"],
            "bias": weights[f"{convolutions}.{number}.layer_norm.bias"],
        }
    torch = pytest.importorskip("torch")
    audio = np.random.default_rng(0).normal(size=(2, 4000)).astype(np.float32)
    with torch.no_grad():
        features = theirs.wav2vec2.feature_extractor(torch.tensor(audio)).transpose(1, 2)
        expected, _ = theirs.wav2vec2.feature_projection(features)
        lengths = theirs._get_feat_extract_output_lengths(torch.tensor([4000, 2500]))
    real = np.arange(4000) < np.array([4000, 2500])[:, None]
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), params)
    ours = stem.apply({"params": params}, Padded(jnp.array(audio)[..., None], jnp.array(real)))
    np.testing.assert_allclose(ours.values, expected.numpy(), atol=2e-4)
    assert ours.mask.sum(axis=1).tolist() == lengths.tolist()
    assert extracted.shape[1] == ours.values.shape[1]


def test_a_waveform_is_scaled_by_its_real_samples():
    audio = np.random.default_rng(0).normal(3.0, 2.0, (2, 50)).astype(np.float32)
    mask = np.arange(50) < np.array([50, 20])[:, None]
    scaled = RawWaveform()(Padded(jnp.array(audio), jnp.array(mask)))
    for row, length in enumerate((50, 20)):
        real = np.asarray(scaled.values)[row, :length, 0]
        assert real.mean() == pytest.approx(0, abs=1e-5)
        assert real.std() == pytest.approx(1, abs=1e-4)
    assert not np.any(np.asarray(scaled.values)[~mask])


def test_a_codebook_s_use_is_its_own():
    """Two books of four codes, of which each uses two: that is two, and not four."""
    codes = np.zeros((1, 8, 2), np.int32)
    codes[0, :, 0] = np.arange(8) % 2
    codes[0, :, 1] = 2 + np.arange(8) % 2
    mask = np.ones((1, 8), bool)
    outputs = {
        "head/logits": Padded(jnp.zeros((1, 8, 2, 4)), mask),
        "head/codes": Padded(jnp.array(codes), mask),
        "masked": Padded(jnp.array(mask), mask),
    }
    terms = MaskedPrediction("head")(outputs, make_batch([8], [2]))
    np.testing.assert_allclose(terms.metrics["perplexity"].mean(), 2.0, rtol=1e-5)
    np.testing.assert_allclose(terms.loss.mean(), np.log(4), rtol=1e-5)
