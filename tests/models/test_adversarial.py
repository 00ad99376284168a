"""The adversarial recogniser: segments, spoken text, and whose gradient goes where."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax.traverse_util import flatten_dict
from tiny_models import HOP, Frames, draw, make_batch

from jasr.models.adversarial.adversarial_speech import AdversarialSpeech
from jasr.models.adversarial.networks import Discriminator, Generator
from jasr.models.adversarial.runs import pool_runs
from jasr.models.pretraining.clusters import Cepstra, Clusters
from jasr.objectives.adversarial import (
    DiscriminatorLoss,
    GeneratorLoss,
    MeanOutput,
    UnitDiversity,
)
from jasr.types import Padded

VOCAB, SILENCE = 11, 4


def make_model(**fields):
    return AdversarialSpeech(
        vocab_size=VOCAB,
        clusters=Clusters(Cepstra(Frames(), stride=1, num_cepstra=3), num_clusters=5),
        generator=Generator(VOCAB, width=3),
        discriminator=Discriminator(dim=6, width=3, depth=1),
        silence_id=SILENCE,
        **fields,
    )


@pytest.fixture(scope="module")
def batch():
    return make_batch([64, 40, 0], [9, 5, 0])


@pytest.fixture(scope="module")
def variables(batch):
    rng = np.random.default_rng(0)
    return {
        "params": draw(make_model(), batch)["params"],
        "clusters": {
            "mean": np.zeros(9, np.float32),
            "std": np.float32(1),
            "centroids": rng.normal(size=(1, 5, 9)).astype(np.float32),
        },
    }


def outputs_of(variables, batch, model=None):
    apply = functools.partial((model or make_model()).apply, train=False)
    return apply(variables, batch, rngs={"augment": jax.random.key(2)})


def test_runs_become_their_means():
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 3, (4, 20))
    values = rng.normal(size=(4, 20, 2)).astype(np.float32)
    lengths = [20, 13, 1, 0]
    mask = np.arange(20) < np.array(lengths)[:, None]
    pooled = pool_runs(Padded(jnp.array(values), jnp.array(mask)), jnp.array(ids))
    for row, length in enumerate(lengths):
        edges = np.flatnonzero(np.diff(ids[row, :length], prepend=-1)) if length else []
        means = [part.mean(axis=0) for part in np.split(values[row, :length], edges)[1:]]
        assert np.asarray(pooled.mask[row]).sum() == len(means)
        assert np.asarray(pooled.mask[row])[: len(means)].all()
        if means:
            np.testing.assert_allclose(pooled.values[row, : len(means)], means, atol=1e-6)
        assert not np.any(pooled.values[row, len(means) :])


@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize(("keep", "kept"), [(0.0, 0), (1.0, 2)])
def test_text_is_as_it_would_be_spoken(keep, kept, ends):
    model = make_model(keep_silence=keep, silent_ends=ends)
    text = jnp.array([[5, 6, SILENCE, 7, SILENCE, 8, 0, 0], [9, 0, 0, 0, 0, 0, 0, 0]])
    mask = jnp.arange(8) < jnp.array([6, 1])[:, None]
    keys = jax.random.split(jax.random.key(0), 2)
    spoken = model.apply({}, Padded(text, mask), keys, method="_spoken")
    units = [
        np.asarray(jnp.argmax(row, axis=-1))[np.asarray(real)].tolist()
        for row, real in zip(spoken.values, spoken.mask, strict=True)
    ]
    inside = [5, 6, SILENCE, 7, SILENCE, 8] if kept else [5, 6, 7, 8]
    around = [SILENCE] if ends else []
    assert units == [[*around, *inside, *around], [*around, 9, *around]]


OBJECTIVES = {
    "generator/": (GeneratorLoss(), MeanOutput("smooth"), UnitDiversity()),
    "discriminator/": (DiscriminatorLoss(), MeanOutput("gradient_penalty")),
}


@pytest.mark.parametrize("part", OBJECTIVES)
def test_each_player_s_losses_move_its_own_parameters_alone(part, variables, batch):
    for objective in OBJECTIVES[part]:

        def loss(params, objective=objective):
            return objective(outputs_of(variables | {"params": params}, batch), batch).loss.value

        gradients = flatten_dict(jax.grad(loss)(variables["params"]), sep="/")
        moved = {path for path, leaf in gradients.items() if np.any(np.asarray(leaf) != 0)}
        assert moved
        assert all(path.startswith(part) for path in moved)


def test_the_penalty_is_the_slope_of_the_score(variables, batch):
    """Of a discriminator of one layer the slope is known: its kernel, wherever it reaches."""
    model = make_model().clone(discriminator=Discriminator(dim=6, width=1, depth=0))
    drawn = nn.unbox(model.init(jax.random.key(0), batch, train=False))["params"]
    given = variables | {"params": {**variables["params"], "discriminator": drawn["discriminator"]}}
    outputs = outputs_of(given, batch, model)
    kernel_V = np.asarray(drawn["discriminator"]["score"]["kernel"])[0, :, 0]
    generated, text = np.asarray(outputs["generated"].mask), np.asarray(batch.targets["text"].mask)
    for row in range(2):
        # The mean over n places has n slopes of kernel / n: a unit's norm is |kernel| / sqrt(n).
        real = text[row].sum() - np.sum(
            np.asarray(batch.targets["text"].values)[row][text[row]] == SILENCE
        )
        lengths = [real + 2 + dropped for dropped in range(3)]
        expected = [
            np.sum((np.abs(kernel_V) / np.sqrt(min(n, generated[row].sum())) - 1) ** 2)
            for n in lengths
        ]
        found = float(outputs["gradient_penalty"].values[row, 0])
        assert min(abs(found - value) for value in expected) < 1e-4


def test_padding_and_batch_mates_change_nothing(variables):
    batch = make_batch([64, 40], [9, 9])
    both = outputs_of(variables, batch)
    second = jax.tree.map(lambda leaf: leaf[1:], batch)
    cut = jax.tree.map(lambda leaf: leaf[:, : 40 * HOP], second.audio)
    alone = outputs_of(variables, second.replace(audio=cut))
    for name in both:
        real = np.asarray(alone[name].mask[0])
        np.testing.assert_allclose(
            np.asarray(both[name].values[1])[: len(real)][real],
            np.asarray(alone[name].values[0])[real],
            atol=1e-5,
            err_msg=name,
        )


def test_segments_can_be_aligned_where_one_unit_is_likeliest_throughout(variables, batch):
    """So begins CTC: its blank wins everywhere, and what is joined is a single segment."""
    params = jax.tree.map(jnp.zeros_like, variables["params"]["generator"])
    quiet = {**variables, "params": {**variables["params"], "generator": params}}
    outputs = outputs_of(quiet, batch)
    assert outputs["generated"].mask.sum(axis=1).max() == 1
    assert outputs["segments"].mask.sum(axis=1).max() > 9
