"""What was skipped is written down once, and nothing about it stops a training."""

import json
import logging as python_logging

from jasr.corpora.corpus import Problem
from jasr.pipeline.skip_report import SkipReport

FIRST, SECOND = Problem("a", "it has no text"), Problem("b", "b.flac does not exist")


def listed(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "skipped.jsonl").read_text().splitlines()]


def test_each_utterance_is_listed_once(tmp_path):
    report = SkipReport(tmp_path)
    report.add([FIRST, FIRST])
    report.add([FIRST, SECOND])
    assert listed(tmp_path) == [
        {"id": "a", "reason": "it has no text"},
        {"id": "b", "reason": "b.flac does not exist"},
    ]
    assert len(report) == 2


def test_a_training_that_goes_on_adds_to_the_list(tmp_path):
    SkipReport(tmp_path).add([FIRST])
    SkipReport(tmp_path).add([FIRST, SECOND])
    assert [row["id"] for row in listed(tmp_path)] == ["a", "b"]


def test_what_an_earlier_run_left_is_forgotten_when_asked(tmp_path):
    SkipReport(tmp_path).add([FIRST])
    SkipReport(tmp_path, anew=True).add([SECOND])
    assert [row["id"] for row in listed(tmp_path)] == ["b"]


def test_a_line_cut_short_does_not_spoil_the_next(tmp_path):
    (tmp_path / "skipped.jsonl").write_text('{"id": "a", "reason": "no"}\n{"id": "b", "rea')
    SkipReport(tmp_path).add([FIRST, SECOND])
    lines = (tmp_path / "skipped.jsonl").read_text().splitlines()
    assert json.loads(lines[2]) == {"id": "b", "reason": "b.flac does not exist"}


def test_one_line_is_logged_with_the_count_and_the_first(tmp_path, caplog):
    caplog.set_level(python_logging.WARNING, logger="absl")
    report = SkipReport(tmp_path)
    report.add([FIRST, SECOND])
    report.add([SECOND])
    report.add([])
    (record,) = caplog.records
    assert "skipped 2 utterances" in record.getMessage()
    assert "a: it has no text" in record.getMessage()


def test_a_folder_that_cannot_be_written_costs_only_the_file(tmp_path, caplog):
    caplog.set_level(python_logging.WARNING, logger="absl")
    (tmp_path / "file").write_text("in the way")
    report = SkipReport(tmp_path / "file")
    report.add([FIRST])
    assert len(report) == 1
    assert any("cannot be written" in record.getMessage() for record in caplog.records)


def test_processes_keep_files_of_their_own(tmp_path):
    SkipReport(tmp_path, process_index=1).add([FIRST])
    SkipReport(tmp_path).add([SECOND])
    assert [row["id"] for row in listed(tmp_path)] == ["b"]
    assert (tmp_path / "skipped-1.jsonl").exists()
