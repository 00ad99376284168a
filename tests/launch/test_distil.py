"""A small recogniser taught by a large one, by the real commands."""

import json
import shutil

import numpy as np
import pytest
from launching import launch, metrics, pod, refuse

from configs import distil, multitask
from jasr.corpora.lessons import Lessons
from jasr.errors import UserError
from jasr.experiment.workdir import Meta
from jasr.training.checkpoint import open_checkpoints

# In one model, so that they are tried together: every kind of knowledge.
EVERYTHING = "configs/distil.py:all,paths,relations,attention,codebook,half,smoke"
TERMS = {
    *("ctc", "cross_entropy", "logits", "posteriors", "paths"),
    *("hidden", "relations", "attention", "codebook"),
}
# The teacher is twice as wide and deep.
LARGE = (
    "--config.model.encoder.embed_dim=64",
    "--config.model.encoder.num_layers=4",
    "--config.model.decoder.embed_dim=64",
)
ONE_SHAPE = "--config.data.num_buckets=1"


@pytest.fixture(scope="module")
def teacher(tmp_path_factory, spoken):
    workdir = tmp_path_factory.mktemp("distil") / "teacher"
    flags = ("--config=configs/distil.py:scratch,smoke", *LARGE, ONE_SHAPE)
    launch("train", *flags, f"--workdir={workdir}", f"--data_dir={spoken}")
    return workdir


@pytest.fixture(scope="module")
def taught(teacher, spoken):
    """The flags of a student that is taught everything."""
    flags = (
        f"--config={EVERYTHING}",
        ONE_SHAPE,
        "--config.data.augment.speeds=(0.9,1.1)",
        f"--data_dir={spoken}",
        f"--config.teacher.workdir={teacher}",
    )
    launch("prepare", *flags)
    return flags


@pytest.fixture(scope="module")
def student(teacher, taught):
    """Stopped once on the way."""
    workdir = teacher.parent / "student"
    flags = (*taught, "--config.teacher.parts=2", f"--workdir={workdir}")
    for steps in (4, 8):
        launch("train", *flags, f"--config.train.num_steps={steps}")
    return workdir


def test_every_kind_of_knowledge_is_a_term(student):
    steps = [line for line in metrics(student) if "loss" in line]
    assert {line["compilations"] for line in steps} == {1}
    for name in TERMS:
        assert all(np.isfinite(line[f"loss/{name}"]) for line in steps), name
        assert any(line[f"loss/{name}"] > 0 for line in steps), name


def assert_same_losses(workdir, expected, tolerance):
    """Of every term, in the first steps that both have logged; relative."""
    found, wanted = (
        {line["step"]: line for line in metrics(folder) if "loss" in line}
        for folder in (workdir, expected)
    )
    for step in (2, 4):
        for name in ("loss", *(f"loss/{term}" for term in sorted(TERMS))):
            np.testing.assert_allclose(
                found[step][name], wanted[step][name], tolerance, err_msg=name
            )


def test_a_student_learns_alike_on_several_devices(student, taught, tmp_path):
    """The teacher is split as well, and hears its rows undivided."""
    flags = (*taught, "--config.train.num_steps=4", f"--workdir={tmp_path}")
    launch("train", *flags, "--config.mesh.preset=fsdp", "--config.mesh.fsdp=4", devices=4)
    assert_same_losses(tmp_path, student, 2e-4)


@pytest.fixture(scope="module")
def lessons(teacher, taught):
    """What the teacher makes of all that the student learns from."""
    folder = teacher.parent / "lessons"
    output = launch("teach", *taught, f"--output={folder}")
    # Two are too long to be slowed down, and keep their own speed.
    assert "142 lessons, of recordings at speed 0.9, 1.0, 1.1" in output
    return folder


def test_lessons_that_were_kept_teach_as_the_teacher_does(student, taught, lessons, tmp_path):
    """Whatever a lone teacher weighs."""
    kept = (f"--config.teacher.lessons={lessons}", "--config.teacher.weights=(2.0,)")
    flags = (*taught, *kept, "--config.train.num_steps=4", "--config.data.num_workers=1")
    launch("train", *flags, f"--workdir={tmp_path}")
    assert_same_losses(tmp_path, student, 1e-3)


def test_two_hosts_write_the_lessons_that_one_does(taught, lessons, tmp_path):
    folder = tmp_path / "lessons"
    pod("teach", *taught, "--config.mesh.data=0", f"--output={folder}", processes=2)
    one, two = Lessons(lessons), Lessons(folder)
    assert one.description == two.description
    for index in (0, 7, 40):
        for speed in (1.0, 1.1):
            apart, together = (
                kept.read(index, speed, one.description["arrays"]) for kept in (one, two)
            )
            for name, values in apart.items():
                assert values.shape == together[name].shape, name
                if not name.endswith(("/ids", "codes")):
                    np.testing.assert_allclose(
                        together[name], values, rtol=5e-2, atol=5e-3, err_msg=name
                    )


def test_a_student_goes_on_with_the_teacher_it_began_with(teacher, student, spoken, tmp_path):
    workdir, changing = tmp_path / "run", tmp_path / "teacher"
    flags = (
        "--config=configs/distil.py:logits,smoke",
        ONE_SHAPE,
        f"--data_dir={spoken}",
        f"--config.teacher.workdir={changing}",
        f"--workdir={workdir}",
    )
    shutil.copytree(teacher, changing)
    launch("train", *flags, "--config.train.num_steps=2")
    later = (*flags, "--config.train.num_steps=4")
    shutil.rmtree(changing / "checkpoints" / "8")
    assert "which this training depends on, is gone" in refuse("train", *later)
    shutil.rmtree(changing)
    shutil.copytree(student, changing)
    assert "is of another run than the one that this training" in refuse("train", *later)


def test_lessons_of_something_else_are_refused(teacher, taught, lessons, tmp_path):
    flags = (*taught, f"--config.teacher.lessons={lessons}", f"--workdir={tmp_path}")
    for more, message in (
        (("--config.splits.untranscribed=train[60%:]",), "is of other recordings or transcripts"),
        ((f"--config.teacher.workdir={teacher},{teacher}",), "is of other teachers"),
        (("--config.teacher.pairs=((1,1),)",), "lacks attention/1, states/1"),
        (("--config.teacher.dtype=bfloat16",), "is of another config.teacher.dtype"),
        (("--config.data.augment.speeds=(0.8,1.0)",), "lacks speed 0.8"),
        ((f"--config.teacher.lessons={teacher}",), "holds no lessons"),
    ):
        assert message in refuse("train", *flags, *more)
    # Of codes, whose clusters are of another step as well, it is said first.
    later = ("--config=configs/distil.py:hidden,half,smoke", *flags[1:])
    assert "is of other teachers" in refuse("train", *later, "--config.teacher.checkpoint=6")
    assert "is there already" in refuse("teach", *taught, f"--output={lessons}")


def test_several_teachers_of_another_precision_teach_in_microbatches(
    student, teacher, spoken, tmp_path
):
    flags = (
        "--config=configs/distil.py:logits,ctc,smoke",
        ONE_SHAPE,
        f"--data_dir={spoken}",
        f"--config.teacher.workdir={teacher},{student}",
        "--config.teacher.weights=(3.0,1.0)",
        "--config.teacher.dtype=bfloat16",
        "--config.teacher.preset=fsdp",
    )
    for microbatches in (1, 2):
        launch(
            "train",
            *flags,
            "--config.train.num_steps=2",
            f"--config.train.microbatches={microbatches}",
            f"--workdir={tmp_path / str(microbatches)}",
        )
    whole, parts = (
        next(line for line in metrics(tmp_path / name) if "loss" in line) for name in "12"
    )
    for name in ("loss/logits", "loss/posteriors"):
        np.testing.assert_allclose(parts[name], whole[name], 1e-2)


def test_the_likeliest_tokens_are_enough_and_validation_has_a_teacher(teacher, spoken, tmp_path):
    flags = (
        "--config=configs/distil.py:logits,ctc,smoke",
        ONE_SHAPE,
        f"--data_dir={spoken}",
        f"--config.teacher.workdir={teacher}",
    )
    lessons = tmp_path / "lessons"
    launch("teach", *flags, "--top_k=8", f"--output={lessons}")
    training = (
        *flags,
        f"--config.teacher.lessons={lessons}",
        "--config.evaluators.recognition.name=objective",
        "--config.train.best_by=loss/logits",
        "--config.train.evaluate_every=2",
        f"--workdir={tmp_path / 'run'}",
    )
    launch("train", *training, "--config.train.num_steps=2")
    lessons.rename(tmp_path / "others")
    launch("teach", *flags, "--top_k=4", f"--output={lessons}")
    changed = refuse("train", *training, "--config.train.num_steps=4")
    assert "is no longer what this training began with" in changed
    lines = metrics(tmp_path / "run")
    learned, measured = (
        next(line[name] for line in lines if name in line)
        for name in ("loss/logits", "validation/loss/logits")
    )
    assert learned > 0
    assert measured > 0


def test_the_student_stands_alone(student, teacher, tmp_path):
    """No parameter of the teacher's is in its checkpoint, and the teacher is not needed again."""
    checkpoints = open_checkpoints(student)
    shapes = checkpoints.params_shapes(8)
    meta = Meta.from_dict(checkpoints.read_meta(8))
    checkpoints.close()
    assert [pin.step for pin in meta.teachers] == [8]
    assert not any(path.startswith("teacher") for path in shapes)
    hidden = tmp_path / "elsewhere"
    teacher.rename(hidden)
    try:
        launch("evaluate", f"--workdir={student}", "--checkpoint=last")
    finally:
        hidden.rename(teacher)


def test_eight_bits_and_noise_have_scores_of_their_own(student):
    flags = (f"--workdir={student}", "--split=test", "--checkpoint=last")
    assert "float32 weights" in launch("evaluate", *flags)
    assert "int8 weights" in launch("evaluate", *flags, "--noise_db=0,10", "--weights=int8")
    scores = [
        json.loads((student / "eval" / name / "summary.json").read_text())
        for name in ("test", "test-noise-0-10db-int8")
    ]
    assert scores[1]["weights"] == "int8"
    assert scores[1]["parameter_bytes"] < 0.4 * scores[0]["parameter_bytes"]
    assert scores[0]["words"] == scores[1]["words"]


def test_what_a_teacher_hears_stands_in_for_transcripts(teacher, spoken, tmp_path):
    labels = tmp_path / "labels.jsonl"
    flags = (
        "--config=configs/distil.py:sequence,half,smoke",
        f"--config.teacher.workdir={teacher}",
        f"--data_dir={spoken}",
    )
    label = (
        *flags,
        f"--workdir={teacher}",
        f"--second={teacher}",
        "--second_decoding=attention_beam:beam_size=2",
        "--decoding=attention_beam:beam_size=3,num_hypotheses=2",
        f"--output={labels}",
    )
    launch("label", *label)
    assert "is there already, and trainings may depend on it" in refuse("label", *label)
    rows = [json.loads(line) for line in labels.read_text().splitlines()]
    assert len(rows) == 24
    for row in rows:
        assert f"{teacher}, step 8, attention-beam(3" in row["teacher"]
        assert 0 <= row["confidence"] <= 1
        assert row["answer"] == row["hypotheses"][0]["text"]
        assert 0 <= row["agreement"] <= 1
        assert row["second"].startswith(f"{teacher}, step 8, attention-beam(2")
    for row in rows[12:]:
        row["confidence"] = 0.0
    rows[0] |= {"answer": "the man walks", "confidence": 1.0}
    labels.write_text("".join(json.dumps(row) + "\n" for row in rows))
    training = (
        *flags,
        ONE_SHAPE,
        "--config.train.num_steps=2",
        f"--config.labels.path={labels}",
        "--config.labels.min_confidence=0.999",
        f"--workdir={tmp_path / 'run'}",
    )
    # Half of 48, and the one that is believed.
    assert " 25 utterances" in launch("train", *training)
    labels.write_text(labels.read_text().replace("the man walks", "the man talks"))
    changed = refuse("train", *training)
    assert "no longer what this workdir was trained on" in changed
    assert f"{labels} it had (config.labels.path)" in changed
    unsure = labels.read_text().replace('"confidence"', '"sure"')
    labels.write_text(unsure)
    message = refuse(
        "train",
        *flags,
        f"--config.labels.path={labels}",
        "--config.labels.min_confidence=0.5",
        f"--workdir={tmp_path / 'other'}",
    )
    assert "expected JSON lines with id and answer" in message
    unheard = refuse("train", *flags, f"--workdir={tmp_path / 'other'}")
    assert "give config.labels.path, which launch.label writes" in unheard


def test_a_student_begins_as_its_teacher(teacher, spoken, tmp_path):
    start = tmp_path / "start"
    config = "--config=configs/distil.py:average,smoke"
    printed = launch("student", f"--workdir={teacher}", config, f"--output={start}")
    assert "wrote a student of" in printed
    launch("evaluate", f"--workdir={start}", f"--data_dir={spoken}", "--split=test")
    said = launch(
        "train",
        config,
        ONE_SHAPE,
        f"--data_dir={spoken}",
        f"--config.init.workdir={start}",
        "--config.text.tokenizer=init",
        "--config.train.num_steps=2",
        f"--workdir={tmp_path / 'run'}",
    )
    assert "new: 4 (matching/layer_0/bias" in said
    assert "left: none" in said
    student = ("student", f"--workdir={teacher}", config)
    assert "holds a training already" in refuse(*student, f"--output={start}")
    unlike = refuse(
        *student, f"--output={tmp_path / 'unlike'}", "--config.model.encoder.activation=gelu"
    )
    assert "config.model.encoder.activation is 'relu' there and 'gelu' here" in unlike


def test_a_frozen_encoder_is_gone_through_once(teacher, spoken, tmp_path):
    flags = (
        "--config=configs/distil.py:logits,smoke",
        *LARGE,
        ONE_SHAPE,
        f"--data_dir={spoken}",
        f"--config.teacher.workdir={teacher}",
        "--config.teacher.shares_encoder=True",
        "--config.optimizer.frozen=('^encoder/',)",
        "--config.train.num_steps=2",
    )
    launch("train", *flags, f"--config.init.workdir={teacher}", f"--workdir={tmp_path / 'run'}")
    (last,) = [line for line in metrics(tmp_path / "run") if "loss/logits" in line]
    assert np.isfinite(last["loss/logits"])
    other = tmp_path / "other"
    scratch = ("--config=configs/distil.py:scratch,smoke", *LARGE, ONE_SHAPE)
    more = ("--config.seed=1", "--config.text.tokenizer=bpe", "--config.train.num_steps=2")
    launch("train", *scratch, *more, f"--data_dir={spoken}", f"--workdir={other}")
    message = refuse(
        "train", *flags, f"--config.init.workdir={other}", f"--workdir={tmp_path / 'refused'}"
    )
    assert "the encoder of step 2 of" in message


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "config.teacher.workdir is empty: give the workdir of a training"),
        (("--config.teacher.workdir=/nowhere",), "config.teacher.workdir=/nowhere"),
        (
            ("--config.teacher.workdir={teacher}", "--config.text.tokenizer=character"),
            "other tokens",
        ),
        (("--config.teacher.workdir={teacher}", "--config.teacher.pairs=((1,9),)"), "1 to 4"),
        (("--config.teacher.workdir={teacher}", "--config.teacher.dtype=int4"), "is unknown"),
        (
            ("--config.teacher.workdir={teacher}", "--config.teacher.shares_encoder=True"),
            "needs a frozen encoder",
        ),
    ],
)
def test_a_teacher_that_cannot_teach_is_refused(flags, message, teacher, spoken, tmp_path):
    given = [flag.format(teacher=teacher) for flag in flags]
    refused = refuse(
        "train",
        "--config=configs/distil.py:logits,hidden,smoke",
        f"--data_dir={spoken}",
        f"--workdir={tmp_path / 'run'}",
        *given,
    )
    assert message in refused


def test_arguments_that_contradict_each_other_are_refused():
    with pytest.raises(UserError, match="'scratch' learns of no teacher, and all of one"):
        distil.get_config("scratch,all")
    with pytest.raises(UserError, match="of large and tiny give one"):
        distil.get_config("ctc,large,tiny")
    for balancers_or_encodings in ("uncertainty,grad_norm", "add,film"):
        with pytest.raises(UserError, match="give one"):
            multitask.get_config(balancers_or_encodings)


def test_what_nobody_transcribed_is_learned_from_or_refused():
    with pytest.raises(UserError, match="'half' leaves logits and paths nothing to learn"):
        distil.get_config("logits,paths,half")
    config = distil.get_config("logits,sequence,half")
    assert {"logits", "ctc"} <= set(config.objective)
    assert config.splits.untranscribed == "train[50%:]"
    assert config.data.needs_text
    assert not distil.get_config("ctc,half").data.needs_text
