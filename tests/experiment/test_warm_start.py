"""Parameters from another training: what is loaded, what is left, what is refused."""

import jax
import numpy as np
import pytest
from jax.sharding import SingleDeviceSharding

from jasr.errors import UserError
from jasr.experiment.shared_rows import SharedRows
from jasr.experiment.warm_start import WarmStart
from jasr.text.tokenizer import train_tokenizer
from jasr.training.checkpoint import Checkpoints
from jasr.training.state import TrainState


def params(**leaves):
    here = SingleDeviceSharding(jax.devices()[0])
    return {
        part: {
            name: jax.device_put(np.full(shape, value, np.float32), here)
            for name, (shape, value) in inside.items()
        }
        for part, inside in leaves.items()
    }


@pytest.fixture
def there(tmp_path):
    """A training that ended with ones in all its parameters."""
    checkpoints = Checkpoints(tmp_path)
    state = TrainState(
        step=np.int32(7),
        nonfinite=np.int32(0),
        seed=np.uint32(0),
        params=params(
            encoder={"kernel": ((2, 3), 1.0), "bias": ((3,), 1.0)}, heads={"code": ((5,), 1.0)}
        ),
        opt_state={},
    )
    checkpoints.save(state, {})
    checkpoints.wait()
    yield checkpoints
    checkpoints.close()


DRAWN = {
    "encoder": {"kernel": ((2, 3), 0.0), "bias": ((3,), 0.0)},
    "ctc": {"kernel": ((3, 4), 0.0)},
}


def test_shared_parameters_are_loaded_and_the_others_named(there, tmp_path, capsys):
    start = WarmStart(str(tmp_path), new=("^ctc/",), left=("^heads/",))
    started, listing = start.parameters(there, params(**DRAWN))
    assert listing.loaded == {f"encoder/{name}": f"encoder/{name}" for name in ("kernel", "bias")}
    assert np.all(started["encoder"]["kernel"] == 1)
    assert np.all(started["encoder"]["bias"] == 1)
    assert np.all(started["ctc"]["kernel"] == 0)
    said = capsys.readouterr().out
    assert "2 loaded; new: 1 (ctc/kernel); left: 1 (heads/code)" in said


def test_what_differs_and_is_not_allowed_to_is_listed_on_both_sides(there, tmp_path):
    with pytest.raises(
        UserError, match=r"here and not there: 1 \(ctc/kernel \(3, 4\)\)"
    ) as refusal:
        WarmStart(str(tmp_path)).parameters(there, params(**DRAWN))
    assert "there and not here: 1 (heads/code (5,))" in str(refusal.value)


def test_another_shape_is_another_parameter(there, tmp_path):
    drawn = {**DRAWN, "encoder": {"kernel": ((2, 9), 0.0), "bias": ((3,), 0.0)}}
    start = WarmStart(str(tmp_path), new=("^ctc/",), left=("^heads/",))
    with pytest.raises(UserError, match=r"encoder/kernel \(2, 9\).*encoder/kernel \(2, 3\)"):
        start.parameters(there, params(**drawn))


def test_names_are_mapped(there, tmp_path):
    drawn = {"speech_encoder": {"kernel": ((2, 3), 0.0), "bias": ((3,), 0.0)}}
    start = WarmStart(str(tmp_path), rename={"^encoder/": "speech_encoder/"}, left=("^heads/",))
    started, _ = start.parameters(there, params(**drawn))
    assert np.all(started["speech_encoder"]["kernel"] == 1)


def test_a_wrong_expression_is_named(there, tmp_path):
    with pytest.raises(UserError, match=r"config.init.new: '\(' is not a regular expression"):
        WarmStart(str(tmp_path), new=("(",)).parameters(there, params(**DRAWN))


def test_rows_of_tokens_that_both_have_are_copied(tmp_path, capsys):
    old = train_tokenizer("character", ["abde"], vocab_size=0)
    new = train_tokenizer("character", ["cdbx"], vocab_size=0)
    here = SingleDeviceSharding(jax.devices()[0])

    def head(kernel):
        return {"ctc_head": {"kernel": jax.device_put(np.asarray(kernel, np.float32), here)}}

    checkpoints = Checkpoints(tmp_path)
    kernel = np.arange(14).reshape(2, 7)
    state = TrainState(
        step=np.int32(1),
        nonfinite=np.int32(0),
        seed=np.uint32(0),
        params=head(kernel),
        opt_state={},
    )
    checkpoints.save(state, {})
    checkpoints.wait()
    shared = SharedRows.of("tokens", old.names(), new.names(), {"ctc_head/kernel": 1})
    start = WarmStart(str(tmp_path), rows=(shared,))
    started, _ = start.parameters(checkpoints, head(np.full((2, 7), -1.0)))
    checkpoints.close()
    found = np.asarray(started["ctc_head"]["kernel"])
    # blank, start, end, then b c d x here, and a b d e there.
    np.testing.assert_array_equal(found[:, :3], kernel[:, :3])
    np.testing.assert_array_equal(found[:, 3], kernel[:, 4])
    np.testing.assert_array_equal(found[:, 5], kernel[:, 5])
    np.testing.assert_array_equal(found[:, [4, 6]], -1)
    assert "5 of 7 tokens' rows of: 1 (ctc_head/kernel)" in capsys.readouterr().out
