import pickle
from types import MappingProxyType

import numpy as np
import pytest

from jasr.corpora.lessons import Lessons, write_lessons
from jasr.errors import UserError


def arrays(number: int) -> dict[str, np.ndarray]:
    states = np.full((number + 1, 2, 3), number, np.float16)
    return {"states": states, "ctc/log_probs": np.arange(number + 2, dtype=np.float16)}


def written(folder, lessons, num_utterances, speeds=(1.0,), description=MappingProxyType({})):
    return write_lessons(
        folder, lessons, num_utterances=num_utterances, speeds=speeds, description=description
    )


def test_what_is_written_in_any_order_is_read_by_place_and_speed(tmp_path):
    heard = {(3, 1.0): 7, (0, 1.0): 2, (3, 0.9): 4, (2, 0.9): 5}
    rows = ((*place, arrays(number)) for place, number in heard.items())
    description = {"top_k": 0, "layers": [2, 4]}
    assert written(tmp_path / "kept", rows, 5, (0.9, 1.0), description) == 4
    kept = pickle.loads(pickle.dumps(Lessons(tmp_path / "kept")))
    assert kept.description == {**description, "speeds": [0.9, 1.0]}
    for place, number in heard.items():
        found = kept.read(*place, ("ctc/log_probs", "states"))
        for name, values in arrays(number).items():
            np.testing.assert_array_equal(found[name], values)
            assert found[name].dtype == np.float16
    assert set(kept.read(2, 0.9, ("states",))) == {"states"}
    for absent in ((1, 1.0), (4, 0.9), (2, 1.0)):
        with pytest.raises(UserError, match="could not hear it"):
            kept.read(*absent, ("states",))


def test_nothing_is_left_of_what_was_not_finished(tmp_path):
    def broken():
        yield 0, 1.0, arrays(0)
        raise UserError("the power went")

    with pytest.raises(UserError, match="the power went"):
        written(tmp_path / "kept", broken(), 1)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UserError, match="holds no lessons"):
        _ = Lessons(tmp_path / "kept").description
    (tmp_path / "kept").mkdir()
    with pytest.raises(UserError, match="is there already"):
        written(tmp_path / "kept", (), 1)


def test_a_damaged_lesson_is_an_error_that_says_what_to_do(tmp_path):
    rows = ((number, 1.0, arrays(number)) for number in range(20))
    written(tmp_path / "kept", rows, 20)
    path = tmp_path / "kept" / "lessons.array_record"
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    path.write_bytes(content)
    kept, failures = Lessons(tmp_path / "kept"), []
    for number in range(20):
        try:
            kept.read(number, 1.0, ("states",))
        except UserError as error:
            failures.append(str(error))
    assert failures
    assert all("run launch.teach again" in message for message in failures)
