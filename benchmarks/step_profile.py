"""Where a training step's time goes, ours and transformers', by kind of work.

    python -m benchmarks.step_profile --steps=5

The model, batch and optimizer of `benchmarks.train_step`, each framework by its own profiler in a
process of its own; time is summed over threads. PyTorch comes with requirements-dev.txt.
"""

import collections
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from absl import app, flags

from benchmarks import train_step

FLAGS = flags.FLAGS
flags.DEFINE_integer("steps", 5, "Steps that are profiled.", lower_bound=1)

KINDS = ("attention", "matrix products", "moving data", "optimizer", "all else")
# Instructions that compute nothing.
MOVES = re.compile(
    r"copy|transpose|dynamic-slice|dynamic-update-slice|broadcast$|concatenate|pad|bitcast$"
)


def main(_) -> None:
    if FLAGS.framework:
        report({"jasr": profile_jasr, "transformers": profile_transformers}[FLAGS.framework]())
        return
    for name in train_step.CONTENDERS:
        command = [sys.executable, "-m", "benchmarks.step_profile", *sys.argv[1:]]
        subprocess.run([*command, f"--framework={name}"], check=True)


def report(nanoseconds: dict[str, float]) -> None:
    total = sum(nanoseconds.values())
    print(f"{FLAGS.framework}: {total / 1e9 / FLAGS.steps:.2f} thread seconds a step")
    for kind in KINDS:
        seconds = nanoseconds[kind] / 1e9 / FLAGS.steps
        print(f"  {kind:16} {seconds:6.2f} s  {100 * nanoseconds[kind] / total:3.0f} %")


def profile_jasr() -> dict[str, float]:
    import jax

    step, state, placed = train_step.jasr_program()
    kinds = {name: kind_of(*what) for name, what in instructions(step.as_text()).items()}
    state, metrics = step(state, placed)
    jax.block_until_ready(metrics)
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for _ in range(FLAGS.steps):
                state, metrics = step(state, placed)
            jax.block_until_ready(metrics)
        trace = jax.profiler.ProfileData.from_file(str(next(Path(folder).rglob("*.xplane.pb"))))
    spent: dict[str, float] = collections.Counter()
    for plane in trace.planes:
        for line in plane.lines:
            for event in line.events:
                if event.name in kinds:
                    spent[kinds[event.name]] += event.duration_ns
    return spent


def instructions(hlo: str) -> dict[str, tuple[str, str]]:
    """Name -> (what the instruction is made of, what it was in JAX), loops and calls left out."""
    found = {}
    for line in hlo.splitlines():
        match = re.match(r"\s*(?:ROOT )?%?([\w.\-]+) = .*? (\w[\w\-]*)\(", line)
        if match and match[2] not in ("while", "call", "conditional", "parameter", "tuple"):
            origin = re.search(r'op_name="([^"]*)"', line)
            made_of = match[1] if match[2] == "fusion" else match[2]
            found[match[1]] = (re.sub(r"[.\d]+$", "", made_of), origin[1] if origin else "")
    return found


def kind_of(made_of: str, origin: str) -> str:
    if "attention/cond" in origin:
        return "attention"
    if made_of == "dot" or made_of.startswith("ynn") or "dot_general" in origin:
        return "matrix products"
    if not re.search("jvp|transpose", origin):
        return "optimizer"
    parts = re.sub("_fusion$", "", made_of).split("_")
    return "moving data" if all(MOVES.search(part) for part in parts) else "all else"


def profile_transformers() -> dict[str, float]:
    from torch.profiler import ProfilerActivity, profile

    step = train_step.transformers_step()
    step()
    with profile(activities=[ProfilerActivity.CPU]) as trace:
        for _ in range(FLAGS.steps):
            step()
    spent: dict[str, float] = collections.Counter()
    for event in trace.key_averages():
        # PyTorch's operators run on all threads, and its profiler sees the calling one.
        spent[kind_of_operator(event.key)] += 1000 * event.self_cpu_time_total * FLAGS.threads
    return spent


def kind_of_operator(name: str) -> str:
    if "scaled_dot_product" in name:
        return "attention"
    if re.fullmatch(r"aten::(mm|addmm|bmm|convolution\w*|mkldnn\w*|_slow_conv\w*)", name):
        return "matrix products"
    if re.search(r"Optimizer|_foreach|clip_grad|lerp|addc", name):
        return "optimizer"
    if re.search(r"aten::(copy_|clone|cat|fill_|zero_|contiguous|add_)", name):
        return "moving data"
    return "all else"


if __name__ == "__main__":
    app.run(main)
