"""The metrics file survives a kill: whole lines, each step once."""

import json

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
