"""The whole way, in real processes: prepare, train, kill, resume, evaluate, transcribe."""

import json
import os
import re
import shutil
import signal
import time

import jax
import numpy as np
import pytest
import soundfile
from launching import launch, metrics, refuse, start

from jasr.corpora.catalogue import open_corpus
from jasr.training.checkpoint import Checkpoints

CONFIG = "--config=configs/quickstart.py:ctc,smoke"
CORPUS = {
    "kind": "spoken",
    "name": "spoken",
    "sample_rate": 16_000,
    "options": {"train_sentences": 48, "validation_sentences": 8, "test_sentences": 8},
}
SUMMARY_KEYS = {
    "scored",
    "wer", "wer_low", "wer_high", "cer", "words", "substitutions", "deletions", "insertions",
    "utterances", "normalizer", "decoding", "audio_seconds", "seconds", "step",
    "weights", "parameter_bytes", "split", "checkpoint", "skipped",
}  # fmt: skip


def parameters(workdir, step):
    checkpoints = Checkpoints(workdir)
    params = checkpoints.restore_params(step, jax.sharding.SingleDeviceSharding(jax.devices()[0]))
    checkpoints.close()
    return params


def assert_same_parameters(one, other):
    for (path, a), b in zip(
        jax.tree_util.tree_leaves_with_path(one), jax.tree.leaves(other), strict=True
    ):
        assert np.array_equal(a, b), jax.tree_util.keystr(path)


def test_training_logs_what_it_promises(trained):
    lines = metrics(trained)
    steps = [line for line in lines if "loss" in line]
    assert [line["step"] for line in steps] == [2, 4, 6, 8]
    for line in steps:
        assert {
            "loss/ctc", "loss/ctc/infeasible", "weight/ctc", "learning_rate", "gradient_norm",
            "steps_per_second", "audio_seconds_per_second", "padding_fraction", "compilations",
            "model_flops_per_second",
        } <= line.keys()  # fmt: skip
        assert 0 <= line["padding_fraction"] < 1
        assert line["compilations"] <= 2
    assert evaluated_steps(trained) == [4, 8]
    assert list((trained / "tensorboard").iterdir())


def test_a_killed_run_resumes_bit_for_bit(trained, spoken, tmp_path):
    workdir = tmp_path / "killed"
    flags = (CONFIG, f"--workdir={workdir}", f"--data_dir={spoken}")
    process = start("train", *flags)
    while not (workdir / "checkpoints" / "2").exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    checkpoints = Checkpoints(workdir)
    assert checkpoints.latest_step() in (2, 4, 6)
    checkpoints.close()

    launch("train", *flags, "--config.data.num_workers=1")
    assert_same_parameters(parameters(workdir, 8), parameters(trained, 8))
    steps = metrics(workdir)
    assert [line["step"] for line in steps if "loss" in line] == [2, 4, 6, 8]
    whole = metrics(trained)
    losses = [[line["loss"] for line in run if "loss" in line] for run in (steps, whole)]
    assert losses[0] == losses[1]


def preempted(workdir, *flags):
    """The step at which a training saved, told after its first step that it is to end."""
    process = start(
        "train",
        *flags,
        "--config.train.log_every=1",
        "--config.data.num_workers=1",
        new_group=True,
    )
    while not (workdir / "metrics.jsonl").exists() or not (workdir / "metrics.jsonl").read_text():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGTERM)  # its workers are told, too
    error = process.communicate()[1]
    assert process.returncode == 75, error
    return int(re.search(r"preempted: saved at step (\d+)", error)[1])


def test_a_preempted_run_saves_and_asks_to_be_started_again(trained, spoken, tmp_path):
    workdir = tmp_path / "preempted"
    flags = (CONFIG, f"--workdir={workdir}", f"--data_dir={spoken}")
    preempted(workdir, *flags, "--config.train.checkpoint_every=8")
    launch("train", *flags)
    assert_same_parameters(parameters(workdir, 8), parameters(trained, 8))


def test_a_notice_does_not_wait_for_an_evaluation_which_is_made_up_for(trained, spoken, tmp_path):
    workdir = tmp_path / "preempted"
    flags = (CONFIG, f"--workdir={workdir}", f"--data_dir={spoken}")
    always = (*flags, "--config.train.evaluate_every=1")
    assert preempted(workdir, *always) not in evaluated_steps(workdir)
    launch("train", *always)
    assert evaluated_steps(workdir) == [*range(1, 9)]
    assert_same_parameters(parameters(workdir, 8), parameters(trained, 8))


def evaluated_steps(workdir):
    return [line["step"] for line in metrics(workdir) if "validation/wer" in line]


def test_a_figure_that_nothing_gives_is_missed_before_the_first_step(spoken, tmp_path):
    flags = (CONFIG, f"--data_dir={spoken}", f"--workdir={tmp_path}")
    message = refuse("train", *flags, "--config.train.best_by=weer")
    assert "config.train.best_by is 'weer', and config.evaluators give wer, cer" in message
    assert not (tmp_path / "metrics.jsonl").exists()


def test_evaluation_needs_the_workdir_alone(trained):
    printed = launch("evaluate", f"--workdir={trained}", "--split=test")
    assert "word error rate" in printed
    folder = trained / "eval" / "test"
    summary = json.loads((folder / "summary.json").read_text())
    assert summary.keys() == SUMMARY_KEYS
    assert (summary["utterances"], summary["skipped"], summary["split"]) == (8, 0, "test")
    assert summary["wer_low"] <= summary["wer"] <= summary["wer_high"]
    lines = [json.loads(line) for line in (folder / "utterances.jsonl").read_text().splitlines()]
    errors = sum(line["substitutions"] + line["deletions"] + line["insertions"] for line in lines)
    assert errors == summary["substitutions"] + summary["deletions"] + summary["insertions"]
    assert summary["wer"] == pytest.approx(errors / summary["words"])
    assert "<html" in (folder / "report.html").read_text()


def test_a_search_is_held_to_the_words_of_a_text(trained, spoken, tmp_path):
    words = tmp_path / "words.txt"
    flags = (CONFIG, f"--data_dir={spoken}", f"--output={words}")
    texts = [utterance.text for utterance in open_corpus(CORPUS, "train", spoken).utterances]
    expected = {word.strip(".,") for text in texts for word in text.lower().split()}
    assert f"{len(expected)} words of {len(texts)} recordings" in launch("words", *flags)
    assert set(words.read_text().split()) == expected
    words.write_text("Dog, dog!\ncat \u017c\u00f3\u0142\u0107")
    evaluate = ("evaluate", f"--workdir={trained}", "--split=test")
    printed = launch(*evaluate, f"--decoding=ctc_beam:beam_size=4,lexicon={words}")
    assert f"1 words of {words} cannot be spelt with the model's tokens" in printed
    assert "ctc-beam(4, lexicon of 2 words)" in printed
    (folder,) = (trained / "eval").glob("test-ctc_beam-beam_size=4-lexicon=words.txt-*")
    lines = (folder / "utterances.jsonl").read_text().splitlines()
    written = {word for line in lines for word in json.loads(line)["hypothesis"].split()}
    assert written
    assert written <= {"dog", "cat"}
    words.write_text("dog")
    launch(*evaluate, f"--decoding=ctc_beam:beam_size=4,lexicon={words}")
    assert len([*folder.parent.glob("*words.txt-*")]) == 2
    words.write_text("\u017c\u00f3\u0142\u0107")
    none = refuse(*evaluate, f"--decoding=ctc_beam:lexicon={words}")
    assert f"lexicon {words}: it has no word that the model's tokens can spell" in none
    absent = refuse(*evaluate, f"--decoding=ctc_beam:lexicon={tmp_path}/absent.txt")
    assert "absent.txt cannot be read: No such file or directory" in absent
    wrong = refuse(*evaluate, "--decoding=ctc_beam:beam_size=wide")
    assert "'beam_size=wide' must be KEY=NUMBER" in wrong
    greedy = refuse(*evaluate, f"--decoding=ctc_greedy:lexicon={words}")
    assert "'ctc_greedy' is not held to a lexicon: use 'ctc_beam'" in greedy


def test_own_recordings_are_evaluated_and_transcribed(trained, spoken, tmp_path):
    corpus = open_corpus(CORPUS, "test", spoken)
    wave = corpus.read(0)
    soundfile.write(tmp_path / "a.wav", wave, 16_000)
    soundfile.write(tmp_path / "b.flac", np.stack([wave, wave], 1), 16_000, subtype="PCM_24")
    soundfile.write(tmp_path / "c.mp3", wave, 16_000)
    text = corpus.utterances[0].text
    rows = [{"id": n, "audio": n, "text": text} for n in ("a.wav", "b.flac", "c.mp3")]
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    rows += [
        {"id": "again", "audio": "a.wav", "text": text, "split": "test"},
        {"id": "unsaid", "audio": "a.wav", "split": "test"},
    ]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    scored = {}
    for split in ((), ("--split=test",)):
        launch("evaluate", f"--workdir={trained}", f"--manifest={manifest}", *split)
        name = "-".join(["manifest", tmp_path.name, *("test" for _ in split)])
        scored[split] = json.loads((trained / "eval" / name / "summary.json").read_text())
    assert [(s["utterances"], s["skipped"]) for s in scored.values()] == [(4, 1), (1, 1)]
    assert scored["--split=test",]["manifest"] == str(manifest)
    skipped = (trained / "eval" / name / "skipped.jsonl").read_text()
    assert json.loads(skipped)["id"] == "unsaid"
    names = [str(tmp_path / name) for name in ("a.wav", "b.flac", "c.mp3")]
    printed = launch("transcribe", f"--workdir={trained}", "--weights=int8", *names)
    lines = [line.split("\t") for line in printed.splitlines() if "\t" in line]
    assert [name for name, _ in lines] == names
    assert lines[0][1] == lines[1][1]


def test_the_same_command_after_the_end_changes_nothing(trained, spoken):
    before = parameters(trained, 8)
    launch("train", CONFIG, f"--workdir={trained}", f"--data_dir={spoken}")
    assert_same_parameters(parameters(trained, 8), before)


def test_a_workdir_of_another_config_is_refused(trained, spoken):
    line = refuse(
        "train", CONFIG, "--config.model.encoder.num_layers=3", f"--workdir={trained}",
        f"--data_dir={spoken}",
    )  # fmt: skip
    assert "model.encoder.num_layers was 2, now 3" in line
    assert str(trained) in line


def test_a_workdir_without_a_checkpoint_is_named(tmp_path):
    line = refuse("evaluate", f"--workdir={tmp_path}")
    assert str(tmp_path) in line
    assert "launch.train" in line


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(trained, spoken, tmp_path):
    workdir = tmp_path / "damaged"
    shutil.copytree(trained, workdir)
    last = workdir / "checkpoints" / "8"
    for part in (last / "state").rglob("*"):
        if (part.is_file() and "ocdbt" in part.name) or part.name == "manifest.ocdbt":
            part.unlink()
    line = refuse("evaluate", f"--workdir={workdir}", "--checkpoint=last")
    assert str(last) in line
    assert "incomplete or damaged" in line
    launch("train", CONFIG, f"--workdir={workdir}", f"--data_dir={spoken}")
    assert last.with_name("damaged-8").is_dir()
    assert_same_parameters(parameters(workdir, 8), parameters(trained, 8))


def test_a_recording_that_is_too_long_is_refused(trained, tmp_path):
    soundfile.write(tmp_path / "long.wav", np.zeros(16_000 * 25, np.float32), 16_000)
    line = refuse("transcribe", f"--workdir={trained}", str(tmp_path / "long.wav"))
    assert "long.wav" in line
    assert "25.0 s" in line
