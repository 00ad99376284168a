"""A training step's time and memory against transformers' Whisper in PyTorch.

    python -m benchmarks.train_step --size=tiny --batch=8 --seconds=8 --threads=2 --rounds=15

Two live processes, one a framework, hold the same model, batch and AdamW in float32; a round runs
one step of each, in turn, so that a drift of the machine's speed meets both. Features are made
beforehand: transformers does not make them in its step. Trust the ratio within rounds.
Transformers and PyTorch come with requirements-dev.txt.
"""

import dataclasses
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from absl import app, flags

from benchmarks.rounds import in_turn

FLAGS = flags.FLAGS
flags.DEFINE_string("size", "tiny", "A size of Whisper.")
flags.DEFINE_integer("batch", 8, "Utterances in a batch.", lower_bound=1)
flags.DEFINE_float("seconds", 8.0, "Seconds of each utterance.", lower_bound=0.1)
flags.DEFINE_integer("tokens", 32, "Tokens of each transcript.", lower_bound=1)
flags.DEFINE_integer("threads", 2, "Threads of each framework.", lower_bound=1)
flags.DEFINE_integer("rounds", 15, "Rounds that are timed.", lower_bound=1)
flags.DEFINE_integer("unroll", 1, "Our layers per iteration of the compiled loop.")
flags.DEFINE_string("framework", None, "Run one contender, told by standard input when to step.")

CONTENDERS = ("jasr", "transformers")


def main(_) -> None:
    if FLAGS.framework:
        serve({"jasr": jasr_step, "transformers": transformers_step}[FLAGS.framework]())
        return
    contenders = {name: Contender(name) for name in CONTENDERS}
    losses = {name: contender.step()["loss"] for name, contender in contenders.items()}
    steps: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    for name in in_turn(CONTENDERS, rounds=FLAGS.rounds):
        steps[name].append(contenders[name].step())
    print(f"Whisper {FLAGS.size}, {FLAGS.batch} x {FLAGS.seconds:g} s, {FLAGS.threads} threads")
    for name in CONTENDERS:
        print(
            f"  {name:13} first loss {losses[name]:.4f}, then {steps[name][-1]['loss']:.4f}; "
            f"step {statistics.median(step['seconds'] for step in steps[name]):.3f} s; "
            f"peak {steps[name][-1]['megabytes']:.0f} MB"
        )
    print(f"  jasr / transformers, median of {FLAGS.rounds} rounds (lowest to highest):")
    for key in ("seconds", "cpu_seconds", "megabytes"):
        ratios = [a[key] / b[key] for a, b in zip(*steps.values(), strict=True)]
        print(
            f"    {key:12} {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )


class Contender:
    """A framework in a process of its own."""

    def __init__(self, name: str):
        threads = str(FLAGS.threads)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.train_step", *sys.argv[1:], f"--framework={name}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": threads, "JAX_PLATFORMS": "cpu"},
            preexec_fn=lambda: os.sched_setaffinity(
                0, sorted(os.sched_getaffinity(0))[: FLAGS.threads]
            ),
        )

    def step(self) -> dict[str, float]:
        self._process.stdin.write("step\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def serve(step: Callable[[], float]) -> None:
    """Takes a step for each line of standard input and reports it on standard output."""
    for _ in sys.stdin:
        start, cpu_start = time.perf_counter(), time.process_time()
        report = {
            "loss": step(),
            "seconds": time.perf_counter() - start,
            "cpu_seconds": time.process_time() - cpu_start,
            "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        print(json.dumps(report), flush=True)


def batch(vocab_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Features [batch, 80, frames] and text [batch, tokens]."""
    rng = np.random.default_rng(0)
    frames = round(100 * FLAGS.seconds)
    features = rng.standard_normal((FLAGS.batch, 80, frames), np.float32)
    return features, rng.integers(3, vocab_size, (FLAGS.batch, FLAGS.tokens))


def jasr_program() -> tuple[Any, Any, Any]:
    """The compiled step, its first state, and the batch."""
    from functools import partial

    import jax
    import optax

    from jasr.models.whisper import SIZES, whisper
    from jasr.objectives.cross_entropy import CrossEntropy
    from jasr.objectives.objective import Objectives, Weighted
    from jasr.sharding.placement import Placement
    from jasr.training.state import abstract_params, abstract_state, create_state, initializer
    from jasr.training.step import train_step
    from jasr.types import Batch, Padded

    size = dataclasses.replace(SIZES[FLAGS.size], max_frames=round(50 * FLAGS.seconds))
    model = whisper(size, unroll=FLAGS.unroll).clone(log_mel=lambda features: features)
    features, text = batch(size.vocab_size)
    features = features.swapaxes(1, 2).copy()
    example = Batch(
        audio=Padded(features, np.ones(features.shape[:2], bool)),
        targets={"text": Padded(text.astype(np.int32), np.ones(text.shape, bool))},
        example_mask=np.ones(len(text), bool),
        example_ids=np.arange(len(text), dtype=np.uint32),
    )
    placement = Placement.from_config({"preset": "data_parallel"})
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-4))
    initialize = initializer(model, example)
    abstract = abstract_state(abstract_params(initialize), optimizer, placement)
    state = create_state(initialize, optimizer, abstract, seed=0)
    step = jax.jit(
        partial(
            train_step,
            model=model,
            objective=Objectives({"cross_entropy": Weighted(CrossEntropy())}),
            optimizer=optimizer,
        ),
        donate_argnums=0,
    )
    placed = placement.shard_batch(example)
    return step.lower(state, placed).compile(), state, placed


def jasr_step() -> Callable[[], float]:
    step, state, placed = jasr_program()

    def take() -> float:
        nonlocal state
        state, metrics = step(state, placed)
        return float(metrics["loss"])

    return take


def transformers_step() -> Callable[[], float]:
    import torch
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    from jasr.models.whisper import SIZES

    torch.set_num_threads(FLAGS.threads)
    torch.manual_seed(0)
    size = SIZES[FLAGS.size]
    model = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=size.vocab_size,
            d_model=size.embed_dim,
            encoder_layers=size.num_layers,
            decoder_layers=size.decoder_layers or size.num_layers,
            encoder_attention_heads=size.num_heads,
            decoder_attention_heads=size.num_heads,
            encoder_ffn_dim=4 * size.embed_dim,
            decoder_ffn_dim=4 * size.embed_dim,
            max_source_positions=round(50 * FLAGS.seconds),
            attn_implementation="sdpa",
            use_cache=False,
        )
    )
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    features, text = (torch.from_numpy(array) for array in batch(size.vocab_size))
    # As ours: the start token and the text are read, the text and the end token predicted.
    read = torch.cat([torch.full((len(text), 1), size.start_id), text], dim=1)
    labels = torch.cat([text, torch.full((len(text), 1), 2)], dim=1)

    def take() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = model(input_features=features, decoder_input_ids=read, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return take


if __name__ == "__main__":
    app.run(main)
