"""The matrix products of a training step, each alone, by XLA and by PyTorch.

    python -m benchmarks.matmul --batch=8 --seconds=8 --threads=2 --rounds=15

The products are those of Whisper-tiny's linear layers, forward and backward: what a step costs
before any code of ours or of transformers. Their ratio is the part of `benchmarks.train_step`'s
that lies in the backend. PyTorch comes with requirements-dev.txt.
"""

import os
import statistics
from collections.abc import Callable

import numpy as np
from absl import app, flags

from benchmarks.rounds import seconds_in_turn
from jasr.models.whisper import SIZES

FLAGS = flags.FLAGS
flags.DEFINE_integer("batch", 8, "Utterances in a batch.", lower_bound=1)
flags.DEFINE_float("seconds", 8.0, "Seconds of each utterance.", lower_bound=0.1)
flags.DEFINE_integer("tokens", 33, "Tokens that the decoder reads.", lower_bound=1)
flags.DEFINE_integer("threads", 2, "Threads of each framework.", lower_bound=1)
flags.DEFINE_integer("rounds", 15, "Rounds that are timed.", lower_bound=1)

Shape = tuple[int, int, int]  # rows, inputs, outputs


def layers() -> dict[Shape, int]:
    """How often each linear layer's shape comes in one forward pass."""
    size = SIZES["tiny"]
    frames = FLAGS.batch * round(50 * FLAGS.seconds)
    tokens = FLAGS.batch * FLAGS.tokens
    E, F, N = size.embed_dim, 4 * size.embed_dim, size.num_layers
    return {
        # Self-attention's four, and the keys and values of cross-attention.
        (frames, E, E): 6 * N,
        (frames, E, F): N,
        (frames, F, E): N,
        (tokens, E, E): 6 * N,
        (tokens, E, F): N,
        (tokens, F, E): N,
        (tokens, E, size.vocab_size): 1,
    }


# einsum equations of x, w and the gradient of their product
PRODUCTS = {"forward": "mk,kn->mn", "input gradient": "mn,kn->mk", "weight gradient": "mk,mn->kn"}


def operands(equation: str, shape: Shape) -> list[np.ndarray]:
    sizes = dict(zip("mkn", shape, strict=True))
    rng = np.random.default_rng(0)
    inputs = equation.split("->")[0].split(",")
    return [rng.standard_normal([sizes[axis] for axis in axes], np.float32) for axes in inputs]


def contenders(equation: str, arrays: list[np.ndarray]) -> dict[str, Callable[[], object]]:
    import jax
    import jax.numpy as jnp
    import torch

    torch.set_num_threads(FLAGS.threads)
    ours = [jnp.asarray(array) for array in arrays]
    theirs = [torch.from_numpy(array) for array in arrays]
    product = jax.jit(lambda a, b: jnp.einsum(equation, a, b))
    return {
        "XLA": lambda: jax.block_until_ready(product(*ours)),
        "PyTorch": lambda: torch.einsum(equation, *theirs),
    }


def main(_) -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: FLAGS.threads])
    totals = {"XLA": 0.0, "PyTorch": 0.0}
    print(f"{'':28} {'times':>5} {'XLA':>9} {'PyTorch':>9}   GFLOP/s of the median; ratio of times")
    for shape, count in layers().items():
        for name, equation in PRODUCTS.items():
            runs = seconds_in_turn(
                contenders(equation, operands(equation, shape)), rounds=FLAGS.rounds
            )
            seconds = {key: statistics.median(values) for key, values in runs.items()}
            flops = 2 * np.prod(shape)
            rates = [flops / seconds[key] / 1e9 for key in totals]
            print(
                f"{' x '.join(map(str, shape)):19} {name:15} {count:3} "
                f"{rates[0]:9.0f} {rates[1]:9.0f}   {seconds['XLA'] / seconds['PyTorch']:.2f}"
            )
            for key in totals:
                totals[key] += count * seconds[key]
    print(f"all products of a step, XLA / PyTorch: {totals['XLA'] / totals['PyTorch']:.2f}")


if __name__ == "__main__":
    app.run(main)
