"""Low-rank changes: nothing at first, then what the equation says, and gradients for them alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax.traverse_util import flatten_dict
from tiny_models import draw, make_batch, make_recognizer

from jasr.errors import UserError
from jasr.models.adapted import Adapted, Kernel, merged

CHANGED = {
    "encoder/layers/self_attention/query/kernel": ("layers", "embed", "heads", "head_dim"),
    "encoder/layers/self_attention/out/kernel": ("layers", "heads", "head_dim", "embed"),
    "encoder/layers/mlp/down/kernel": ("layers", "mlp", "embed"),
}
BATCH = make_batch([64, 40], [3, 2])


@pytest.fixture(scope="module")
def adapted():
    """An adapted recogniser whose CTC head is new, and its base."""
    model = make_recognizer()
    drawn = draw(model, BATCH)["params"]
    flat = flatten_dict(drawn, sep="/")
    base = {path: leaf for path, leaf in flat.items() if not path.startswith("ctc_head/")}
    kernels = {path: Kernel.of(path, flat[path].shape, axes) for path, axes in CHANGED.items()}
    new = tuple(path for path in flat if path not in base)
    return Adapted(model, kernels, new, rank=2, alpha=8.0), base


@pytest.fixture(scope="module")
def params(adapted):
    drawn = adapted[0].init(jax.random.key(0), BATCH, train=False)["params"]
    return nn.unbox(drawn)


def run(model, variables):
    return model.apply(variables, BATCH, train=False)["ctc"].values


def test_at_first_nothing_is_changed(adapted, params):
    model, base = adapted
    plain = merged(model, base, params)
    for path, leaf in flatten_dict(plain, sep="/").items():
        if path in base:
            np.testing.assert_array_equal(leaf, base[path])
    assert set(params) == {
        *(f"{path.replace('/', '.')}.{part}" for path in CHANGED for part in ("down", "up")),
        "new",
    }


def test_changes_are_those_of_the_equation(adapted, params):
    model, base = adapted
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: jnp.array(rng.normal(size=leaf.shape), jnp.float32), params)
    plain = flatten_dict(merged(model, base, params), sep="/")
    for path in CHANGED:
        down = params[f"{path.replace('/', '.')}.down"]
        up = params[f"{path.replace('/', '.')}.up"]
        for layer in range(2):
            change = np.tensordot(down[layer], up[layer], axes=1) * 4
            np.testing.assert_allclose(
                plain[path][layer], base[path][layer] + change, rtol=1e-4, atol=1e-4
            )
    np.testing.assert_allclose(
        run(model, {"params": params, "base": base}),
        run(model.model, {"params": merged(model, base, params)}),
        rtol=1e-4,
        atol=1e-4,
    )


def test_every_change_has_a_gradient(adapted, params):
    model, base = adapted
    params = jax.tree.map(lambda leaf: leaf + 0.1, params)
    gradients = jax.grad(lambda p: jnp.sum(jnp.sin(run(model, {"params": p, "base": base}))))(
        params
    )
    assert all(np.any(np.asarray(leaf) != 0) for leaf in jax.tree.leaves(gradients))


def test_what_is_no_kernel_of_the_embedding_is_refused():
    with pytest.raises(UserError, match="is no kernel from or to the embedding"):
        Kernel.of("encoder/layers/mlp/up/bias", (2, 24), ("layers", "mlp"))
