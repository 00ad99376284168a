"""Muon's matrices in stacks of one shape, against each alone (optax.contrib.scale_by_muon).

    python -m benchmarks.muon_stacks --config=configs/quickstart.py --rounds=15

Orthogonalises gradients of a config's model, with no momentum in either. Prints the ratio of their
median times, measured in turn, and how many matrix products each asks the device for.
"""

from statistics import median
from typing import Any

import jax
import optax
from absl import app, flags
from flax import linen as nn
from ml_collections import config_flags

from benchmarks.rounds import seconds_in_turn
from jasr.experiment.data import empty_batch
from jasr.experiment.model import build_model
from jasr.text.tokenizer import train_tokenizer
from jasr.training.muon import matrix_axes, orthogonalize
from jasr.training.state import abstract_params, initializer

_CONFIG = config_flags.DEFINE_config_file("config", None, "Config module, MODULE.py[:ARG].")
_ROUNDS = flags.DEFINE_integer("rounds", 15, "Rounds to take the median of.", lower_bound=1)
flags.mark_flag_as_required("config")


def gradients(config: dict[str, Any]) -> tuple[Any, Any]:
    """Of the model's matrices, noise; and their axes."""
    model = build_model(config["model"], train_tokenizer("byte", ["a"], vocab_size=0))
    batch = empty_batch(1, samples=config["corpus"]["sample_rate"], tokens=4)
    boxed = abstract_params(initializer(model, batch))
    dimensions = matrix_axes(nn.get_partition_spec(boxed))
    key = jax.random.key(0)
    matrices = jax.tree.map(
        lambda leaf, matrix: (
            matrix
            if isinstance(matrix, optax.MaskedNode)
            else jax.random.normal(key, leaf.shape, leaf.dtype)
        ),
        nn.unbox(boxed),
        dimensions,
    )
    return matrices, dimensions


def main(_) -> None:
    matrices, dimensions = gradients(_CONFIG.value.to_dict())
    ways = {
        "each alone": optax.contrib.scale_by_muon(
            beta=0.0, nesterov=False, weight_dimension_numbers=dimensions
        ),
        "in stacks": orthogonalize(dimensions),
    }
    products, contenders = {}, {}
    for name, way in ways.items():
        state = way.init(matrices)
        compiled = jax.jit(way.update).lower(matrices, state).compile()
        products[name] = compiled.as_text().count(" dot(")
        contenders[name] = lambda compiled=compiled, state=state: jax.block_until_ready(
            compiled(matrices, state)
        )
    seconds = {k: median(v) for k, v in seconds_in_turn(contenders, rounds=_ROUNDS.value).items()}
    shapes = len(jax.tree.leaves(matrices))
    print(
        f"{shapes} parameters that are matrices or stacks of them, {jax.devices()[0].device_kind}"
    )
    for name in ways:
        print(f"{name:12} {products[name]:5} products, {1e3 * seconds[name]:.1f} ms")
    print(f"in stacks takes {seconds['in stacks'] / seconds['each alone']:.2f} of the time")


if __name__ == "__main__":
    app.run(main)
