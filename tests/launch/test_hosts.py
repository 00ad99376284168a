"""Several processes of one run: the same numbers as one, and an end when one of them ends."""

import json
import os
import shutil
import signal
import time

import numpy as np
import pytest
from launching import launch, metrics, pod, refuse, start

from launch.pods.local import free_port

FLAGS = (
    "--config=configs/quickstart.py:ctc,smoke",
    # Smooth: at the corner of ReLU, rounding decides whether a unit has a gradient.
    "--config.model.encoder.activation=gelu",
    "--config.data.num_buckets=1",
    "--config.data.batch_seconds=32",
    "--config.train.num_steps=6",
    "--config.train.evaluate_every=3",
    "--config.train.checkpoint_every=3",
    "--config.train.log_every=1",
    "--config.mesh.preset=fsdp",
    "--config.mesh.fsdp=0",
)
RESTART = 75


def figures(workdir):
    """The lines of metrics.jsonl, without those that tell of time."""
    lines = metrics(workdir)
    timed = [key for key in lines[0] if key.endswith("per_second")]
    return [{key: line[key] for key in line if key not in timed} for line in lines]


def assert_same(one, other):
    assert [line.keys() for line in one] == [line.keys() for line in other]
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(list(a.values()), list(b.values()), rtol=1e-4, err_msg=str(a))


@pytest.fixture(scope="module")
def alone(spoken, tmp_path_factory):
    """Six steps by one process on four devices."""
    workdir = tmp_path_factory.mktemp("alone") / "run"
    launch("train", *FLAGS, f"--workdir={workdir}", f"--data_dir={spoken}", devices=4)
    return workdir


@pytest.fixture(scope="module")
def together(spoken, tmp_path_factory):
    """The same by two processes with two devices each."""
    workdir = tmp_path_factory.mktemp("together") / "run"
    flags = (*FLAGS, f"--workdir={workdir}", f"--data_dir={spoken}")
    pod("train", *flags, "--config.train.precompile", processes=2, devices=2)
    return workdir


def test_two_processes_train_like_one(alone, together):
    assert_same(figures(alone), figures(together))


def test_four_processes_go_on_where_two_stopped(alone, together, spoken, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(together, workdir)
    shutil.rmtree(workdir / "checkpoints" / "6")
    pod("train", *FLAGS, f"--workdir={workdir}", f"--data_dir={spoken}", processes=4)
    assert_same(figures(alone), figures(workdir))


def test_two_processes_recognise_each_utterance_once(together):
    def scored():
        folder = together / "eval" / "test"
        assert (folder / "report.html").stat().st_size > 10_000
        return [json.loads(line) for line in (folder / "utterances.jsonl").open()]

    pod("evaluate", f"--workdir={together}", "--split=test", processes=2, devices=2)
    by_two = scored()
    launch("evaluate", f"--workdir={together}", "--split=test")
    assert by_two == scored()
    assert len({line["id"] for line in by_two}) == len(by_two) == 8


def two_hosts(spoken, *flags, own=((), ())):
    """Two processes of one run; own: flags of each alone."""
    port = free_port()
    return [
        start(
            "train",
            *FLAGS,
            f"--data_dir={spoken}",
            f"--coordinator=localhost:{port}",
            "--num_processes=2",
            f"--process_id={number}",
            "--host_timeout=5",
            *flags,
            *own[number],
        )
        for number in range(2)
    ]


def test_hosts_that_were_given_different_things_are_told_so(spoken, tmp_path):
    workdir = f"--workdir={tmp_path / 'run'}"
    seeds = (("--config.seed=0",), ("--config.seed=1",))
    folders = ((workdir,), (f"--workdir={tmp_path / 'other'}",))
    for own, expected in (
        (seeds, "the config is not the same on all hosts"),
        (folders, "is another folder on 1 hosts than on the first"),
    ):
        processes = two_hosts(spoken, workdir, own=own)
        said = [process.communicate(timeout=120)[1] for process in processes]
        assert any(expected in one for one in said), said
        assert 1 in [process.returncode for process in processes]
        assert not [*tmp_path.glob("*/checkpoints/*")]


def begin(workdir, spoken, *flags):
    """Two processes, some steps on their way to many."""
    before = steps(workdir)
    processes = two_hosts(
        spoken,
        "--config.train.num_steps=100000",
        "--config.train.evaluate_every=100000",
        f"--workdir={workdir}",
        *flags,
    )
    while steps(workdir) <= before + 3:
        assert all(process.poll() is None for process in processes), processes[0].communicate()
        time.sleep(0.2)
    return processes


def steps(workdir):
    path = workdir / "metrics.jsonl"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_a_host_that_is_preempted_dies_or_hangs_ends_the_others(spoken, tmp_path):
    workdir = tmp_path / "run"
    first, second = begin(workdir, spoken)
    third = refuse("train", *FLAGS, f"--workdir={workdir}", f"--data_dir={spoken}")
    assert f"process {first.pid} on" in third
    assert "is training in it" in third
    second.send_signal(signal.SIGTERM)
    for process in (first, second):
        said = process.communicate(timeout=60)[1]
        assert process.returncode == RESTART
        assert "preempted: saved at step" in said
    saved = max(int(path.name) for path in (workdir / "checkpoints").glob("[0-9]*"))
    assert saved == steps(workdir)

    first, second = begin(workdir, spoken, "--config.train.checkpoint_every=100000")
    second.kill()
    second.communicate()
    said = first.communicate(timeout=30)[1]
    assert first.returncode == RESTART, said
    assert said.splitlines()[-1].startswith("error: another process of this run has stopped")
    assert "Traceback" not in said

    first, second = begin(workdir, spoken)
    second.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    said = first.communicate(timeout=60)[1]
    assert time.monotonic() - begun < 30
    assert first.returncode not in (0, 1)
    assert "another task died" in said
    os.kill(second.pid, signal.SIGKILL)
    second.communicate()


def test_half_of_what_a_process_must_know_is_refused(tmp_path):
    flags = (*FLAGS, f"--workdir={tmp_path}")
    assert "belong together" in refuse("train", *flags, "--num_processes=2")
    assert "give -- MODULE FLAGS" in refuse("pods.local")


def test_all_processes_start_again_after_a_preemption_and_not_after_a_mistake(
    tmp_path, monkeypatch
):
    module = tmp_path / "mayfly.py"
    module.write_text(
        "import pathlib, sys\n"
        "log = pathlib.Path(sys.argv[1])\n"
        "begun = len(log.read_text().splitlines()) if log.exists() else 0\n"
        "with log.open('a') as file:\n"
        "    print(sys.argv[-1], file=file)\n"
        "sys.exit(int(sys.argv[2]) if begun < 2 else 0)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    hosts = ("--processes=1", "--restarts=5", "--", "mayfly")
    launch("pods.local", *hosts, str(tmp_path / "preempted"), str(RESTART))
    assert (tmp_path / "preempted").read_text() == "--process_id=0\n" * 3
    assert "ended with [1]" in refuse("pods.local", *hosts, str(tmp_path / "wrong"), "1")
    assert (tmp_path / "wrong").read_text() == "--process_id=0\n"
