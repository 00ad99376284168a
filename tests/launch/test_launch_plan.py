"""A plan without the devices: what it prints, and what it refuses."""

import re

import pytest
from launching import launch, refuse

SMOKE = ("--config=configs/quickstart.py:ctc,smoke", "--config.data.num_buckets=1")
ALL_DEVICES = "--config.mesh.data=0"


def sent(printed):
    """Megabytes of each kind of collective."""
    line = re.search(r"sent in a step of .*: (.*)", printed)
    return {kind: float(size) for kind, size in re.findall(r"([\w-]+) ([\d.]+) MB", line[1])}


def parameters(printed):
    return float(re.search(r"([\d.]+) M parameters", printed)[1])


def weakly_scaled(*mesh):
    """Plans for two and for four devices, each device with as much of the batch."""
    return {
        n: launch(
            "plan", *SMOKE, *mesh, f"--target=cpu:{n}", f"--config.data.batch_seconds={20 * n}"
        )
        for n in (2, 4)
    }


def test_data_parallel_sends_the_gradients_whatever_the_batch():
    """All-reduce: of N bytes each of g devices sends 2 N (g - 1) / g."""
    for count, printed in weakly_scaled(ALL_DEVICES).items():
        expected = 2 * 4 * parameters(printed) * (count - 1) / count
        assert sent(printed)["all-reduce"] == pytest.approx(expected, rel=0.1)


def test_fsdp_sends_on_four_devices_what_two_and_the_formula_say():
    """Weights gathered, gradients summed: a multiple of N (g - 1) / g, and nothing of the batch."""
    mesh = ("--config.mesh.preset=fsdp", "--config.mesh.data=1", "--config.mesh.fsdp=0")
    two, four = (sum(sent(printed).values()) for printed in weakly_scaled(*mesh).values())
    assert four / two == pytest.approx((3 / 4) / (1 / 2), rel=0.05)


def test_what_is_frozen_is_not_gone_through_backwards():
    frozen = "--config.optimizer.frozen=('^encoder/',)"
    table = [launch("plan", *SMOKE, "--target=cpu:1", *flags) for flags in ((), (frozen,))]
    whole, head = (float(printed.splitlines()[-1].split()[11]) for printed in table)
    assert "GB moved" in table[0]
    assert 0 < head < 0.7 * whole


@pytest.mark.parametrize("config", ["pretrain.py:hubert", "pretrain.py:data2vec", "text.py:mlm"])
def test_pretraining_is_planned_too(config, tmp_path):
    flags = (f"--config=configs/{config},smoke", "--config.data.num_buckets=1", ALL_DEVICES)
    printed = launch("plan", *flags, "--target=cpu:2", f"--data_dir={tmp_path}")
    assert sent(printed)["all-reduce"] > 2 * parameters(printed)


def test_what_cannot_be_a_target_is_refused():
    assert "expected cpu:N, or a TPU slice" in refuse("plan", *SMOKE, "--target=tpu")
    lora = ("--config=configs/finetune.py:lora,smoke", "--target=cpu:1")
    assert "leave out config.lora" in refuse("plan", *lora)


@pytest.mark.usefixtures("tpu_compiler")
def test_a_tpu_slice_is_planned_without_a_tpu():
    printed = launch("plan", *SMOKE, ALL_DEVICES, "--target=v5e:2x2")
    assert "on 4 x TPU v5 lite" in printed
    assert "16 GB at 819 GB/s" in printed
    assert "chip hours" in printed
    row = re.search(r"\d+ x 20.0 s .*", printed)[0].split()
    assert float(row[6]) > 0


@pytest.mark.usefixtures("tpu_compiler")
def test_a_step_that_does_not_fit_says_by_how_much_and_what_to_do():
    large = ("--config.data.batch_seconds=400000", "--config.model.encoder.remat=none")
    line = refuse("plan", *SMOKE, *large, "--target=v5e:2x2")
    assert re.search(r"needs [\d.]+ GB of the device's [\d.]+ GB, [\d.]+ GB too much", line)
    assert "lower config.data.batch_seconds to some" in line
