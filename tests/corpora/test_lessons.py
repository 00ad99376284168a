import pickle

import numpy as np
import pytest

from jasr.corpora.lessons import Lessons, write_lessons
from jasr.errors import UserError


def arrays(number: int) -> dict[str, np.ndarray]:
    states = np.full((number + 1, 2, 3), number, np.float16)
    return {"states": states, "ctc/log_probs": np.arange(number + 2, dtype=np.float16)}


def test_what_is_written_in_any_order_is_read_by_place(tmp_path):
    rows = ((number, arrays(number)) for number in (3, 0, 2))
    description = {"top_k": 0, "layers": [2, 4]}
    count = write_lessons(tmp_path / "kept", rows, num_utterances=5, description=description)
    assert count == 3
    kept = pickle.loads(pickle.dumps(Lessons(tmp_path / "kept")))
    assert kept.description == description
    for number in (0, 2, 3):
        found = kept.read(number, ("ctc/log_probs", "states"))
        for name, values in arrays(number).items():
            np.testing.assert_array_equal(found[name], values)
            assert found[name].dtype == np.float16
    assert set(kept.read(2, ("states",))) == {"states"}
    for absent in (1, 4):
        with pytest.raises(UserError, match="could not hear it"):
            kept.read(absent, ("states",))


def test_nothing_is_left_of_what_was_not_finished(tmp_path):
    def broken():
        yield 0, arrays(0)
        raise UserError("the power went")

    with pytest.raises(UserError, match="the power went"):
        write_lessons(tmp_path / "kept", broken(), num_utterances=1, description={})
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UserError, match="holds no lessons"):
        _ = Lessons(tmp_path / "kept").description
    (tmp_path / "kept").mkdir()
    with pytest.raises(UserError, match="is there already"):
        write_lessons(tmp_path / "kept", (), num_utterances=1, description={})


def test_a_damaged_lesson_is_an_error_that_says_what_to_do(tmp_path):
    rows = ((number, arrays(number)) for number in range(20))
    write_lessons(tmp_path / "kept", rows, num_utterances=20, description={})
    path = tmp_path / "kept" / "lessons.array_record"
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    path.write_bytes(content)
    kept, failures = Lessons(tmp_path / "kept"), []
    for number in range(20):
        try:
            kept.read(number, ("states",))
        except UserError as error:
            failures.append(str(error))
    assert failures
    assert all("run launch.teach again" in message for message in failures)
