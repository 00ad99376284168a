"""What a small model learns of a large one: each kind of knowledge, each size, each seed.

    python -m launch.prepare --config=configs/distil.py:scratch
    python -m benchmarks.distillation --runs=runs/distillation --seeds=0,1,2

Trains one teacher (configs/distil.py:scratch,large), the students from scratch, and each by every
kind of --kinds from it, with every seed; --half leaves all of them, the teacher too, half of the
transcripts; --started also begins each student as its teacher's layers. Prints a table of word
error rates: of the test split as it is, with noise over it at 0 to 10 dB, and, where no teacher
was, with eight-bit weights. With --digits, of the Free Spoken Digit Dataset.
"""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from absl import app, flags

from benchmarks.runs import DATA, TEST, Run, carry_out, scores
from benchmarks.tables import markdown, spread
from configs import distil

FLAGS = flags.FLAGS
KINDS = (
    *("scratch", "logits", "ctc", "paths", "sequence", "hidden", "relations", "attention"),
    *("codebook", "all"),
)
# Where half of the recordings have no text, a kind that needs one reads what the teacher heard.
HALF_KINDS = tuple(f"sequence+{kind}" if kind in distil.NEED_TEXT else kind for kind in KINDS)
flags.DEFINE_string("runs", "runs/distillation", "Where the trainings' folders lie.")
flags.DEFINE_list("kinds", None, "What is learned of the teacher, joined by +; each kind if none.")
flags.DEFINE_list("sizes", "small,tiny", "Of the students.")
flags.DEFINE_string("lessons", "", "What launch.teach wrote of the teacher, for those it serves.")
flags.DEFINE_bool("half", False, "Half of the transcripts are not there.")
flags.DEFINE_bool("started", False, "Students begin as their teacher's layers.")
flags.DEFINE_bool("digits", False, "Spoken digits instead of the embedded corpus.")
flags.DEFINE_integer("num_steps", 4000, "Of each student's training.")
flags.DEFINE_string("teacher_seed", "0", "Of the teacher.")
flags.DEFINE_integer("teacher_steps", 4000, "Of its training.")

NOISY = (*TEST, "--noise_db=0,10")
INT8 = (*TEST, "--weights=int8")


def experiment() -> Iterator[Run]:
    yield Run(
        _teacher(),
        _config("scratch", "large"),
        _flags(FLAGS.teacher_seed, FLAGS.teacher_steps),
        scores=(TEST, NOISY, INT8),
    )
    for seed, kind, size in itertools.product(FLAGS.seeds, _kinds(), FLAGS.sizes):
        yield student(kind, size, seed)


def student(kind: str, size: str, seed: str) -> Run:
    name, teacher = _name(kind, size, seed), f"{{runs}}/{_teacher()}"
    flags, first = _flags(seed, FLAGS.num_steps), []
    if kind not in ("scratch", "sequence", "average"):
        flags += (f"--config.teacher.workdir={teacher}",)
        if FLAGS.lessons and "sequence" not in kind:
            flags += (f"--config.teacher.lessons={Path(FLAGS.lessons).resolve()}",)
    if "codebook" in kind.split("+"):
        first.append(("launch.prepare", DATA))
    if "sequence" in kind:
        labels = f"{{runs}}/{name}.jsonl"
        flags += (f"--config.labels.path={labels}",)
        first.append(("launch.label", DATA, f"--workdir={teacher}", f"--output={labels}"))
    if FLAGS.started:
        start = f"{{runs}}/{name}-start"
        first.append(("launch.student", f"--workdir={teacher}", f"--output={start}"))
        flags += (f"--config.init.workdir={start}",)
    return Run(
        name,
        _config(*kind.split("+"), size),
        flags,
        after=(_teacher(),) if FLAGS.started or kind != "scratch" else (),
        first=tuple(first),
        scores=(TEST, NOISY, INT8) if kind == "scratch" else (TEST, NOISY),
    )


def _kinds() -> Sequence[str]:
    return FLAGS.kinds or (HALF_KINDS if FLAGS.half else KINDS)


def _teacher() -> str:
    return "-".join(["teacher", *_data(), FLAGS.teacher_seed])


def _name(kind: str, size: str, seed: str) -> str:
    started = ["started"] if FLAGS.started else []
    return "-".join([kind, size, *_data(), *started, seed])


def _data() -> list[str]:
    return [name for name in ("half", "digits") if FLAGS[name].value]


def _config(*arguments: str) -> str:
    return f"configs/distil.py:{','.join([*arguments, *_data()])}"


def _flags(seed: str, num_steps: int) -> tuple[str, ...]:
    return f"--config.seed={seed}", f"--config.train.num_steps={num_steps}"


def table(runs: Path) -> str:
    rows = {"teacher, large": _cells(runs, [_teacher()])}
    for size, kind in itertools.product(FLAGS.sizes, _kinds()):
        names = [_name(kind, size, seed) for seed in FLAGS.seeds]
        rows[f"{kind}, {size}"] = _cells(runs, names)
    return markdown(["model", "test", "test with noise", "test, int8 weights"], rows)


def _cells(runs: Path, names: Sequence[str]) -> list[str]:
    cells = []
    for split in ("test", "test-noise-0-10db", "test-int8"):
        found = [scores(runs, name, split) or {} for name in names]
        cells.append(spread([one.get("wer") for one in found]))
    return cells


def main(_) -> None:
    carry_out(experiment(), table, runs=FLAGS.runs)


if __name__ == "__main__":
    app.run(main)
