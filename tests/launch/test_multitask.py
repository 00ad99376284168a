"""Several tasks in one model, by the real commands."""

import collections
import dataclasses
import json

import numpy as np
import pytest
import soundfile
from launching import launch, metrics, refuse
from ml_collections import ConfigDict

from configs import multitask
from jasr.corpora.catalogue import open_corpus
from jasr.errors import UserError
from jasr.experiment.data import train_plan
from jasr.experiment.task_relations import gradient_cosines
from jasr.experiment.tasks import open_mixture
from jasr.experiment.trained import load
from jasr.experiment.workdir import Meta
from jasr.tasks.asked import AskedCorpus
from jasr.tasks.targets import NoTargets
from jasr.training.checkpoint import open_checkpoints

ARGUMENT = "transcript,roles,tags,speaker,grad_norm,smoke"
CONFIG = f"--config=configs/multitask.py:{ARGUMENT}"
TASKS = {"transcript", "roles", "tags", "speaker"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    launch("prepare", CONFIG, f"--data_dir={folder}")
    return folder


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """A model of all tasks, stopped once on the way."""
    workdir = tmp_path_factory.mktemp("multitask") / "run"
    for steps in (4, 8):
        train(data, workdir, steps)
    return workdir


def train(data, workdir, steps):
    launch(
        "train",
        CONFIG,
        f"--data_dir={data}",
        f"--workdir={workdir}",
        "--config.data.num_buckets=1",
        f"--config.train.num_steps={steps}",
        # Whenever it is stopped: other schedules end with num_steps.
        "--config.optimizer.learning_rate.schedule=constant",
    )


@pytest.fixture(scope="module")
def evaluated(trained):
    """What the evaluation of all tasks printed."""
    return launch("evaluate", f"--workdir={trained}", "--split=test")


def test_one_compilation_whatever_the_mixture(trained):
    steps = [line for line in metrics(trained) if "loss" in line]
    assert [line["step"] for line in steps] == [2, 4, 6, 8]
    assert {line["compilations"] for line in steps} == {1}
    for name in (*TASKS, "ctc"):
        assert all(np.isfinite(line[f"loss/{name}"]) for line in steps)
    last = metrics(trained)[-1]
    for figure in ("transcript/wer", "roles/f1", "tags/f1", "speaker/accuracy", "error"):
        assert f"validation/{figure}" in last


def test_a_mixture_and_its_balancer_go_on_as_if_nothing_had_stopped_them(data, trained, tmp_path):
    train(data, tmp_path, 8)

    def figures(workdir):
        lines = [line for line in metrics(workdir) if "loss" in line]
        return [
            {name: value for name, value in line.items() if name.startswith(("loss", "weight"))}
            for line in lines
        ]

    unbroken = figures(tmp_path)
    assert unbroken == figures(trained)
    assert unbroken[0]["weight/roles"] != unbroken[-1]["weight/roles"]


@pytest.mark.usefixtures("evaluated")
def test_how_tasks_relate_is_said_in_numbers(trained):
    summary = json.loads((trained / "eval" / "test" / "summary.json").read_text())
    assert set(summary["cosines"]["gradients"]) == {"ctc", "tagged_words", *TASKS}
    recognition, params, _ = load(str(trained), "best", None)
    vectors = np.concatenate(
        [params[side]["vectors"] for side in ("encoder_tasks", "decoder_tasks")], axis=1
    )
    for one, a in zip(recognition.meta.config["tasks"], vectors, strict=True):
        for other, b in zip(recognition.meta.config["tasks"], vectors, strict=True):
            expected = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
            found = summary["cosines"]["task vectors"][one][other]
            assert found == pytest.approx(expected, abs=1e-4)


def test_terms_that_ask_for_the_same_pull_the_same_way(trained):
    recognition, params, _ = load(str(trained), "best", None)
    config = recognition.meta.config
    ctc = config["objective"]["ctc"]
    twice = {**config, "objective": {"ctc": ctc, "again": {**ctc, "weight": 0.1}}}
    recognition = dataclasses.replace(
        recognition, meta=dataclasses.replace(recognition.meta, config=twice)
    )
    corpus = open_corpus(config["corpus"], "test", recognition.meta.data_dir)
    rows = recognition.batches(AskedCorpus(corpus, "transcript", None))
    names, cosines = gradient_cosines(recognition, params, rows)
    assert names == ("ctc", "again")
    np.testing.assert_allclose(cosines, np.ones((2, 2)), atol=1e-5)


def test_every_task_is_scored(trained, evaluated):
    folder = trained / "eval" / "test"
    summary = json.loads((folder / "summary.json").read_text())
    assert set(summary["tasks"]) == TASKS
    assert (summary["split"], summary["checkpoint"]) == ("test", "best")
    for name, figures in summary["tasks"].items():
        assert f"{name}: " in evaluated
        answers = [json.loads(line) for line in (folder / f"{name}.jsonl").open()]
        # Speakers are known of a few recordings of those that are trained on, kept back.
        assert len(answers) == figures["utterances"] == (2 if name == "speaker" else 8)
        assert figures["skipped"] == 0
        assert all({"id", "label", "answer"} == set(answer) for answer in answers)
    assert {"f1", "precision"} <= set(summary["tasks"]["tags"]["words_given"])
    # Constrained, a line may be wrong and even cut short, but it is a frame.
    assert summary["tasks"]["roles"]["malformed"] == 0
    assert (folder / "transcript" / "report.html").exists()
    assert (folder / "tasks.png").read_bytes().startswith(b"\x89PNG")


def test_a_recording_is_asked_several_things(trained, tmp_path):
    wave = np.random.default_rng(0).normal(size=16_000) * 0.1
    soundfile.write(tmp_path / "a.wav", wave, 16_000)
    flags = (f"--workdir={trained}", str(tmp_path / "a.wav"))
    (line,) = launch("transcribe", "--task=roles,speaker", "--json", *flags).splitlines()
    said = json.loads(line)
    assert list(said) == ["path", "roles", "speaker"]
    assert said["roles"] is None or set(said["roles"]) <= {
        *("V", "ARG0", "ARG1", "ARG2", "ARGM-LOC", "ARGM-TMP")
    }
    readable = launch("transcribe", *flags)
    assert all(f"  {name}" in readable for name in TASKS)
    assert "did you mean 'roles'?" in refuse("transcribe", "--task=rolls", *flags)
    by_ctc = refuse("transcribe", "--task=roles", "--decoding=ctc_greedy", *flags)
    assert "config.tasks.roles is written by the decoder" in by_ctc
    assert launch("transcribe", "--task=transcript", "--decoding=ctc_greedy", *flags)


# Some of the test's frames are longer than it can read.
SHORT_SIGHTED = """
from configs import multitask

def get_config():
    config = multitask.get_config("roles,reading,smoke")
    with config.unlocked():
        config.model.decoder.update({"position": "learned", "max_tokens": 32})
    config.data.max_tokens = 31
    return config
"""


@pytest.mark.usefixtures("evaluated")
def test_a_model_that_reads_is_given_what_another_heard(data, trained, tmp_path):
    config = tmp_path / "short_sighted.py"
    config.write_text(SHORT_SIGHTED)
    launch(
        "train",
        f"--config={config}",
        f"--data_dir={data}",
        f"--workdir={tmp_path}",
        "--config.data.num_buckets=1",
        "--config.train.num_steps=2",
    )
    heard = trained / "eval" / "test" / "transcript.jsonl"
    launch("evaluate", f"--workdir={tmp_path}", "--split=test", f"--heard={heard}")
    summary = json.loads((tmp_path / "eval" / "test-heard" / "summary.json").read_text())
    assert summary["tasks"]["roles"]["utterances"] == 8
    flags = (f"--workdir={tmp_path}", "--split=validation", f"--heard={heard}")
    assert "says nothing of 8 utterances of 'validation'" in refuse("evaluate", *flags)
    flags = (f"--workdir={trained}", f"--heard={heard}")
    assert "hears recordings itself" in refuse("evaluate", *flags)


def test_tasks_that_both_have_start_as_they_were(data, trained, tmp_path):
    said = launch(
        "train",
        "--config=configs/multitask.py:intent,roles,speaker,smoke",
        f"--data_dir={data}",
        f"--workdir={tmp_path}",
        f"--config.init.workdir={trained}",
        "--config.text.tokenizer=init",
        "--config.init.new=('^class_heads_intent',)",
        "--config.init.left=('^tag_heads_tags',)",
        "--config.data.num_buckets=1",
        "--config.train.num_steps=2",
    )
    assert "2 of 3 tasks' rows of: 2 (encoder_tasks/vectors, decoder_tasks/vectors)" in said
    listed = json.loads((tmp_path / "init.json").read_text())
    assert any(path.startswith("class_heads_speaker/") for path in listed["loaded"])


def test_tasks_and_what_teaches_them_belong_together(data, tmp_path):
    flags = (f"--data_dir={data}", f"--workdir={tmp_path}")
    config = "--config=configs/multitask.py:roles,intent,smoke"
    message = refuse("train", config, *flags, "--config.objective.intent.head=roles")
    assert "config.tasks.intent: no term of config.objective teaches it" in message
    message = refuse("train", config, *flags, "--config.objective.intent.task=roles")
    assert "config.objective.intent: the head 'intent' answers the task of that name" in message
    config = "--config=configs/quickstart.py:smoke"
    message = refuse("train", config, *flags, "--config.evaluators.recognition.name=tasks")
    assert "'tasks' scores config.tasks, and there are none" in message


def test_what_a_task_chooses_from_is_saved(trained):
    checkpoints = open_checkpoints(trained)
    meta = Meta.from_dict(checkpoints.read_meta(8))
    checkpoints.close()
    assert set(meta.tasks) == {"speaker"}
    corpus = open_corpus(meta.config["corpus"], "train[:95%]", meta.data_dir)
    assert meta.tasks["speaker"] == sorted({u.speaker for u in corpus.utterances})


def rows_of_tasks(config, data, steps=400):
    corpus = open_mixture(config.to_dict(), "train", str(data))
    plan = train_plan(config.data.to_dict(), corpus, NoTargets(), seed=0, multiple_of=1)
    rows = np.concatenate([plan[step].indices for step in range(steps)])
    return collections.Counter(corpus.utterances[index].task for index in rows if index >= 0)


def test_tasks_are_mixed_as_it_is_said(data):
    config = multitask.get_config("transcript,intent,smoke")
    few = ConfigDict({"name": "text", "share": 3.0})
    config.tasks.transcript = few
    config.tasks.intent.share = 1.0
    seen = rows_of_tasks(config, data)
    assert seen["transcript"] / seen["intent"] == pytest.approx(3.0, rel=0.05)
    del config.tasks.intent["share"]
    with pytest.raises(UserError, match="expected a number above 0 for every task, or none"):
        open_mixture(config.to_dict(), "train", str(data))
