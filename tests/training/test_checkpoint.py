"""Checkpoints: what is kept, what is refused, and what a full disk leaves behind."""

import json
import os

import jax
import numpy as np
import pytest
from tiny_training import Training

from jasr.errors import UserError
from jasr.training.checkpoint import Checkpoints, open_checkpoints
from jasr.training.checkpoint_failures import DamagedCheckpoint


@pytest.fixture(scope="module")
def training():
    return Training()


@pytest.fixture(scope="module")
def state(training):
    return training.state()


def at(state, step):
    return state.replace(step=np.int32(step))


def test_a_state_comes_back_bit_for_bit(training, state, tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(at(state, 3), {"config": {"seed": 1}})
    checkpoints.close()
    opened = Checkpoints(tmp_path)
    restored = opened.restore(3, training.abstract)
    same = jax.tree.map(lambda a, b: np.array_equal(a, b), at(state, 3), restored)
    assert jax.tree.all(same)
    assert opened.read_meta(3) == {"config": {"seed": 1}}
    params = opened.restore_params(
        3, jax.tree.map(lambda leaf: leaf.sharding, training.abstract.params)
    )
    assert jax.tree.all(jax.tree.map(np.array_equal, params, state.params))
    opened.close()


def test_reading_beside_a_training_leaves_what_it_is_saving(training, state, tmp_path, caplog):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(at(state, 3), {"config": {}})
    checkpoints.note(3, {"wer": 0.5})
    checkpoints.close()
    unfinished = tmp_path / "checkpoints" / "4.orbax-checkpoint-tmp"
    (unfinished / "state").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    opened = open_checkpoints(tmp_path)
    assert opened.find("last") == 3
    assert opened.find("best") == 3
    assert opened.read_meta(3) == {"config": {}}
    here = training.placement.replicated
    assert jax.tree.all(jax.tree.map(np.array_equal, opened.restore_params(3, here), state.params))
    opened.close()
    assert sorted(tmp_path.rglob("*")) == before
    assert "read only" not in caplog.text
    # The training itself, started again, has cleared away what it did not finish by its next save.
    resumed = Checkpoints(tmp_path)
    resumed.save(at(state, 4), {"config": {}})
    resumed.close()
    assert not unfinished.exists()
    assert open_checkpoints(tmp_path).steps() == [3, 4]


def test_a_changed_byte_is_noticed_and_named(training, state, tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(at(state, 3), {})
    checkpoints.wait()
    folder = tmp_path / "checkpoints" / "3" / "state"
    arrays = max((folder / "ocdbt.process_0" / "d").iterdir(), key=lambda p: p.stat().st_size)
    (index,) = (folder / "d").iterdir()
    random = np.random.default_rng(0)
    noticed = []
    for file in (arrays, index):
        whole = file.read_bytes()
        for place in random.integers(0, len(whole), 6):
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
            try:
                restored = checkpoints.restore(3, training.abstract)
            except DamagedCheckpoint as damage:
                noticed.append(str(damage))
                continue
            assert jax.tree.all(jax.tree.map(np.array_equal, at(state, 3), restored))
        file.write_bytes(whole)
    named = f"{tmp_path}/checkpoints/3 is incomplete or damaged"
    assert all(named in line for line in noticed)
    assert any("is not what was saved" in line for line in noticed)
    assert len(noticed) > 8
    checkpoints.restore(3, training.abstract)
    checkpoints.close()


def test_the_last_and_the_best_are_kept(state, tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    nothing = {"wer": float("nan")}
    figures = {1: {"wer": 0.5}, 2: {"wer": 0.1}, 3: nothing, 4: {"wer": 0.3}, 5: nothing}
    for step, found in figures.items():
        checkpoints.save(at(state, step), {})
        checkpoints.note(step, found)
    checkpoints.save(at(state, 6), {})
    checkpoints.close()
    opened = open_checkpoints(tmp_path)
    assert opened.steps() == [2, 5, 6]
    assert opened.latest_step() == 6
    assert opened.best_step() == 2
    assert opened.is_evaluated(5)  # to no number
    assert not opened.is_evaluated(6)
    opened.close()


def test_a_step_that_is_made_anew_is_not_known_by_its_old_figures(state, tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for step, found in ((1, 0.5), (2, 0.1)):
        checkpoints.save(at(state, step), {})
        checkpoints.note(step, {"wer": found})
    checkpoints.set_aside(2)
    checkpoints.save(at(state, 2), {})
    assert checkpoints.best_step() == 1
    checkpoints.close()


def test_a_spoilt_file_of_figures_is_named(state, tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(at(state, 3), {})
    checkpoints.note(3, {"wer": 0.5})
    checkpoints.close()
    (tmp_path / "checkpoints" / "3" / "evaluation.json").write_text('{"wer": 0.5')
    opened = open_checkpoints(tmp_path)
    with pytest.raises(UserError, match=r"3/evaluation.json cannot be read.*delete it"):
        opened.find("best")
    opened.close()


def test_figures_that_orbax_kept_itself_still_tell_the_best(state, tmp_path):
    """As before an evaluation had a file of its own."""
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2, 3):
        checkpoints.save(at(state, step), {})
    checkpoints.close()
    for step, found in {2: "0.5", 3: "Infinity"}.items():
        kept = tmp_path / "checkpoints" / str(step) / "metrics" / "metrics"
        assert json.loads(kept.read_text()) == {"step": step}
        kept.write_text(f'{{"deciding": {found}}}')
    opened = Checkpoints(tmp_path)
    assert opened.steps() == [2, 3]
    assert opened.best_step() == 2
    assert not opened.is_evaluated(3)
    opened.close()


def test_another_model_s_checkpoint_lists_what_differs(training, state, tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(at(state, 1), {})
    checkpoints.wait()
    params = dict(training.abstract.params)
    head = params["ctc_head"]["kernel"]
    params["ctc_head"] = {
        "kernel": jax.ShapeDtypeStruct((16, 99), head.dtype, sharding=head.sharding)
    }
    with pytest.raises(UserError) as caught:
        checkpoints.restore(1, training.abstract.replace(params=params))
    message = str(caught.value)
    assert "params/ctc_head/kernel: (16, 12) in the checkpoint, (16, 99) in the model" in message
    assert "params/ctc_head/bias: (12,) in the checkpoint, absent in the model" in message
    checkpoints.close()


def test_a_full_disk_is_one_line_and_loses_nothing(training, state, small_disk):
    checkpoints = Checkpoints(small_disk, keep=50)

    def fill():
        for step in range(1, 50):
            checkpoints.save(at(state, step), {})
            checkpoints.wait()

    with pytest.raises(UserError, match=r"disk is full.*are whole"):
        fill()
    whole = Checkpoints(small_disk, keep=50)
    assert whole.steps()
    restored = whole.restore(whole.latest_step(), training.abstract)
    assert jax.tree.all(jax.tree.map(np.array_equal, restored.params, state.params))


def test_a_damaged_checkpoint_is_named(training, state, tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(at(state, 7), {})
    checkpoints.close()
    for folder, _, files in os.walk(tmp_path / "checkpoints" / "7" / "state" / "d"):
        for name in files:
            os.truncate(os.path.join(folder, name), 10)
    opened = Checkpoints(tmp_path)
    with pytest.raises(UserError, match=r"checkpoints/7 is incomplete or damaged.*delete"):
        opened.restore(7, training.abstract)
    opened.close()
