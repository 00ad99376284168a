"""A run goes on on another mesh: the same order, the same losses to rounding."""

import json
import re
import shutil

import numpy as np
import pytest
from launching import launch, metrics, refuse

FLAGS = (
    "--config=configs/quickstart.py:ctc,smoke",
    "--config.data.num_buckets=1",
    "--config.data.batch_seconds=32",
    "--config.train.num_steps=6",
    "--config.train.evaluate_every=6",
    "--config.train.keep_checkpoints=3",
)


def losses(workdir):
    return {line["step"]: line["loss"] for line in metrics(workdir) if "loss" in line}


@pytest.fixture(scope="module")
def begun(spoken, tmp_path_factory):
    """A run of six steps on eight devices, each with a slice of every parameter."""
    workdir = tmp_path_factory.mktemp("mesh") / "fsdp"
    flags = (*FLAGS, f"--workdir={workdir}", f"--data_dir={spoken}")
    launch("train", *flags, "--config.mesh.preset=fsdp", "--config.mesh.fsdp=8", devices=8)
    return workdir


def from_step_two(begun, folder):
    """What a run killed after its second step has left."""
    shutil.copytree(begun, folder)
    for step in ("4", "6"):
        shutil.rmtree(folder / "checkpoints" / step)
    return folder


@pytest.mark.parametrize(
    ("mesh", "devices"),
    [
        ({"preset": "fsdp_tensor", "data": 2, "tensor": 2}, 4),
        ({"preset": "data_parallel"}, 1),
    ],
    ids=["four, other axes", "one"],
)
def test_a_run_goes_on_on_other_devices(begun, spoken, tmp_path, mesh, devices):
    workdir = from_step_two(begun, tmp_path / "moved")
    flags = (*FLAGS, f"--workdir={workdir}", f"--data_dir={spoken}")
    asked = [f"--config.mesh.{key}={value}" for key, value in mesh.items()]
    launch("train", *flags, *asked, devices=devices)
    before, after = losses(begun), losses(workdir)
    assert after.keys() == {2, 4, 6}
    np.testing.assert_allclose([after[s] for s in (2, 4, 6)], [before[s] for s in (2, 4, 6)], 1e-4)


def test_a_mesh_that_does_not_divide_the_batches_is_refused(begun, spoken, tmp_path):
    workdir = from_step_two(begun, tmp_path / "moved")
    flags = (*FLAGS, f"--workdir={workdir}", f"--data_dir={spoken}")
    line = refuse("train", *flags, "--config.mesh.data=3", devices=3)
    assert "cannot be split evenly over 3" in line


def test_pmap_trains_alike_and_every_bucket_is_compiled_before_the_first_step(
    begun, spoken, tmp_path
):
    flags = (*FLAGS, f"--workdir={tmp_path}", f"--data_dir={spoken}")
    pmap = ("--config.train.compiler=pmap", "--config.mesh.data=8", "--config.train.precompile")
    printed = launch("train", *flags, *pmap, devices=8)
    before, after = losses(begun), losses(tmp_path)
    np.testing.assert_allclose([after[s] for s in (2, 4, 6)], [before[s] for s in (2, 4, 6)], 1e-4)
    told = re.search(r"compiled 8 x .* MB a device \(.* arguments, .* temporaries\)\n", printed)
    assert told
    assert told.end() <= printed.index("step 6: validation")


def test_pmap_of_what_is_split_is_refused(spoken, tmp_path):
    flags = (*FLAGS, f"--workdir={tmp_path}", f"--data_dir={spoken}", "--config.mesh.fsdp=2")
    pmap = ("--config.train.compiler=pmap", "--config.mesh.preset=fsdp")
    assert "keeps all parameters on every device" in refuse("train", *flags, *pmap, devices=2)


def test_evaluation_is_the_same_on_the_training_s_devices_and_on_one(begun):
    def scored(devices):
        launch("evaluate", f"--workdir={begun}", "--split=test", devices=devices)
        lines = (begun / "eval" / "test" / "utterances.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    assert scored(devices=8) == scored(devices=1)
