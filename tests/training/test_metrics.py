"""The metrics file survives a kill: whole lines, each step once."""

import json
import struct

import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog

from jasr.errors import UserError
from jasr.training.metrics import MetricsWriter


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_resumed_run_replaces_the_steps_it_takes_again(tmp_path):
    writer = MetricsWriter(tmp_path, start_step=0)
    for step in (10, 20, 30):
        writer.write(step, {"loss": 1.0 / step})
    writer.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 40, "lo')
    writer = MetricsWriter(tmp_path, start_step=20)
    writer.write(30, {"loss": 7.0})
    writer.close()
    assert [line["step"] for line in lines(tmp_path)] == [10, 20, 30]
    assert lines(tmp_path)[-1]["loss"] == 7.0
    assert list((tmp_path / "tensorboard").iterdir())


def test_a_full_disk_is_one_line_and_what_is_there_stays(small_disk):
    writer = MetricsWriter(small_disk, start_step=0)
    values = {f"part/{number}": 0.125 for number in range(400)}

    def fill():
        for step in range(1, 1000):
            writer.write(step, values)

    with pytest.raises(UserError, match=r"cannot write .*metrics.jsonl .*: No space left"):
        fill()
    writer.close()
    first, *_ = (small_disk / "metrics.jsonl").read_text().splitlines()
    assert json.loads(first) == {"step": 1, **values}


def events(folder):
    """As TensorBoard reads them, file by file."""
    for path in sorted(folder.iterdir(), key=lambda path: int(path.suffix[1:])):
        rest = path.read_bytes()
        while rest:
            (size,) = struct.unpack("Q", rest[:8])
            yield Event.FromString(rest[12 : 12 + size])
            rest = rest[12 + size + 4 :]


def test_tensorboard_is_told_what_was_written_and_what_is_taken_again(tmp_path):
    for start in (0, 10):
        writer = MetricsWriter(tmp_path, start_step=start)
        writer.write(start + 10, {"validation/wer": 0.5, "loss": start})
        writer.close()
    told = list(events(tmp_path / "tensorboard"))
    assert [one.step for one in told if one.session_log.status == SessionLog.START] == [1, 11]
    shown = [(one.step, {v.tag: v.simple_value for v in one.summary.value}) for one in told]
    values = {step: figures for step, figures in shown if figures}
    assert values == {n: {"validation/wer": 0.5, "loss": n - 10} for n in (10, 20)}
