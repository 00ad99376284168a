"""Many trainings, each with its score, and a table of them: what an experiment is made of.

An experiment is a list of Runs. Those that have finished are not made again, those that were cut
off go on where they were, so the same command finishes what a lost machine began.
"""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from absl import flags
from tqdm import tqdm

from jasr.errors import UserError

# What every experiment is told.
FLAGS = flags.FLAGS
flags.DEFINE_string("data_dir", "data", "Where the corpora are prepared.")
flags.DEFINE_list("seeds", "0,1,2", "Seeds.")
flags.DEFINE_integer("jobs", 1, "Trainings at a time.")


TEST = ("--split=test",)
DATA = "--data_dir={data_dir}"


@dataclasses.dataclass(frozen=True)
class Run:
    """One training: its name, which is its folder's too, and what makes it.

    flags:   of launch.train, and of what is run first; in these and all others {runs} is where the
             runs' folders lie, and {data_dir} where the corpora do.
    after:   names of the runs it starts from, which stand before it in the experiment.
    first:   modules of launch and their own flags, what is run with its config before it begins.
    scores:  flags of launch.evaluate for each score of the finished run.
    """

    name: str
    config: str
    flags: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    first: tuple[tuple[str, ...], ...] = ()
    scores: tuple[tuple[str, ...], ...] = (TEST,)

    def commands(self, runs: Path, data_dir: str) -> Iterator[tuple[str, ...]]:
        """The command lines, first to last, of modules that `python -m` runs; each has ended well
        when the next is asked for."""
        workdir, ready = runs / self.name, runs / f"{self.name}.ready"

        def command(module: str, *flags: str) -> tuple[str, ...]:
            placed = {"{runs}": str(runs), "{data_dir}": data_dir}
            for name, value in placed.items():
                flags = tuple(flag.replace(name, value) for flag in flags)
            return (module, *flags)

        config = (f"--config={self.config}", *self.flags)
        for module, *own in () if ready.exists() else self.first:
            yield command(module, *config, *own)
        ready.touch()
        yield command("launch.train", *config, DATA, f"--workdir={workdir}")
        for score in self.scores:
            yield command("launch.evaluate", f"--workdir={workdir}", DATA, *score)


def carry_out(experiment: Iterable[Run], table: Callable[[Path], str], *, runs: str) -> None:
    """Finishes the experiment as the flags say, and prints its table."""
    folder = Path(runs).resolve()
    finish(list(experiment), folder, data_dir=FLAGS.data_dir, jobs=FLAGS.jobs)
    print(table(folder))


def finish(experiment: Sequence[Run], runs: Path, *, data_dir: str, jobs: int) -> None:
    """Makes all that are not made yet, so many at a time, each on cores of its own.

    One that fails, and those that start from it, are left; UserError names their logs at the end.
    """
    runs.mkdir(parents=True, exist_ok=True)
    shares: SimpleQueue[set[int]] = SimpleQueue()
    for share in _shares(jobs):
        shares.put(share)
    waiting, finished, failures = list(experiment), set[str](), list[str]()
    assert {one for run in waiting for one in run.after} <= {run.name for run in waiting}
    begun: dict[Future[None], str] = {}
    with (
        ThreadPoolExecutor(jobs, initializer=lambda: _keep_to(shares.get())) as pool,
        tqdm(total=len(waiting), unit="run") as progress,
    ):
        while True:
            ready = [run for run in waiting if finished.issuperset(run.after)]
            # No more than are made: what is handed to the pool is begun, Ctrl-C or not.
            for run in ready[: jobs - len(begun)]:
                waiting.remove(run)
                begun[pool.submit(_finish_one, run, runs, data_dir)] = run.name
            if not begun:
                break
            for future in wait(begun, return_when=FIRST_COMPLETED).done:
                name = begun.pop(future)
                if error := future.exception():
                    failures.append(str(error))
                else:
                    finished.add(name)
                    progress.update()
    if failures:
        raise UserError("; ".join(failures))


def _shares(jobs: int) -> Iterator[set[int]]:
    """This process's cores, dealt out: trainings that share all of them wait for each other."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    for job in range(jobs):
        yield set(cores[job::jobs] or cores)


def _keep_to(cores: set[int]) -> None:
    """This thread, and the processes that it starts."""
    if cores:
        os.sched_setaffinity(0, cores)


def _finish_one(run: Run, runs: Path, data_dir: str) -> None:
    finished, log = runs / run.name / "finished", runs / f"{run.name}.log"
    if finished.exists():
        return
    for command in run.commands(runs, data_dir):
        with log.open("a") as output:
            output.write(f"$ python -m {' '.join(command)}\n")
            output.flush()
            if subprocess.call(
                [sys.executable, "-m", *command], stdout=output, stderr=subprocess.STDOUT
            ):
                raise UserError(f"{run.name} failed: see {log}, and run the same command again")
    finished.write_text(_commit())


def _commit() -> str:
    describe = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(describe, capture_output=True, text=True).stdout.strip()


def scores(runs: Path, name: str, split: str = "test") -> dict[str, Any] | None:
    """What launch.evaluate wrote of one run, in the folder that a split and a search name, or a
    pattern does; None if it has not been scored."""
    found = sorted((runs / name / "eval").glob(f"{split}/summary.json"))
    return json.loads(found[0].read_text()) if found else None


def last_figure(runs: Path, name: str, figure: str) -> float | None:
    """The last that a run's metrics say of a figure; None if they say nothing of it."""
    metrics = runs / name / "metrics.jsonl"
    lines = map(json.loads, metrics.read_text().splitlines()) if metrics.exists() else ()
    found = [line[figure] for line in lines if figure in line]
    return found[-1] if found else None
