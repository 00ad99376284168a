"""Learning without transcripts, and then with some: the real commands, one after the other."""

import json
import re

import numpy as np
import pytest
from launching import launch, metrics, refuse
from test_configs import some_of

from configs import gan
from jasr.corpora.catalogue import open_corpus
from jasr.training.checkpoint import Checkpoints

PACKS = ("an4", "speechocean762", "librispeech_unlabelled", "barista", "fsdd")
FEW_STEPS = (
    *("--config.train.num_steps=4", "--config.data.num_buckets=1"),
    # So that a stop on the way compiles nothing anew: others depend on the number of steps.
    "--config.optimizer.learning_rate.schedule=constant",
)


@pytest.fixture(scope="module")
def packs(real_data, tmp_path_factory):
    """A few recordings of every pack, and where they are to be prepared."""
    folder = tmp_path_factory.mktemp("packs")
    for pack in PACKS:
        (folder / "source" / pack).mkdir(parents=True)
        splits = ("unlabelled",) if pack == "librispeech_unlabelled" else ("train", "dev", "test")
        some_of(real_data / pack, folder / "source" / pack, per_split=12, splits=splits)
    return folder


def flags_of(packs, config, *more):
    return (f"--config={config}", f"--data_dir={packs / 'data'}", *more)


@pytest.fixture(scope="module")
def hubert(packs):
    """An encoder that was trained to predict clusters of cepstra, stopped once on the way."""
    flags = flags_of(packs, "configs/pretrain.py:hubert,smoke", "--config.clusters.num_clusters=8")
    missing = refuse("train", *flags, f"--workdir={packs / 'hubert'}")
    assert "is not prepared" in missing
    launch("prepare", *flags, f"--source={packs / 'source'}")
    assert "already prepared" in launch("prepare", *flags, f"--source={packs / 'source'}")
    for steps in (2, 4):
        launch(
            "train",
            *flags,
            f"--workdir={packs / 'hubert'}",
            *FEW_STEPS,
            f"--config.train.num_steps={steps}",
        )
    return packs / "hubert"


def test_clusters_are_predicted_and_probed(hubert):
    lines = metrics(hubert)
    assert [line["step"] for line in lines if "loss" in line] == [2, 4]
    (last,) = [line for line in lines if line["step"] == 4 and "validation/loss" in line]
    assert np.isfinite(last["validation/loss/masked_prediction"])
    assert 0 <= last["validation/loss/masked_prediction/accuracy"] <= 1
    assert 1 <= last["validation/loss/masked_prediction/perplexity"] <= 8
    assert last["validation/probe_cer"] > 0


def test_a_layer_s_clusters_are_the_second_iteration_s_targets(packs, hubert):
    flags = flags_of(
        packs,
        "configs/pretrain.py:hubert,again,smoke",
        "--config.clusters.num_clusters=8",
        f"--config.clusters.workdir={hubert}",
        f"--config.init.workdir={hubert}",
    )
    missing = refuse("train", *flags, f"--workdir={packs / 'second'}")
    assert "the clusters are not prepared" in missing
    assert "run python -m launch.prepare --config=configs/pretrain.py" in missing
    launch("prepare", *flags)
    said = launch("train", *flags, *FEW_STEPS, f"--workdir={packs / 'second'}")
    assert "new: 3 (heads_units/" in said
    assert "validation/loss" in metrics(packs / "second")[-1]


@pytest.mark.parametrize("objective", ["bestrq", "contrastive", "data2vec"])
def test_every_objective_trains_stops_and_goes_on(objective, packs, hubert):
    del hubert  # it has prepared the corpora
    flags = flags_of(packs, f"configs/pretrain.py:{objective},smoke")
    workdir = packs / objective
    for steps in (2, 4):
        launch(
            "train",
            *flags,
            *FEW_STEPS,
            f"--config.train.num_steps={steps}",
            f"--workdir={workdir}",
        )
    lines = metrics(workdir)
    assert [line["step"] for line in lines if "loss" in line] == [2, 4]
    assert all(np.isfinite(line["loss"]) for line in lines if "loss" in line)


def test_a_recogniser_starts_from_the_encoder(packs, hubert):
    flags = flags_of(packs, "configs/finetune.py:smoke", f"--config.init.workdir={hubert}")
    noise = ("--config.data.augment.noise.name=barista", "--config.data.augment.noise.split=dev")
    flags = (*flags, *noise, "--config.data.augment.noise_probability=0.5")
    workdir = packs / "fine"
    said = launch("train", *flags, *FEW_STEPS, f"--workdir={workdir}")
    assert f"parameters of step 4 of {hubert}" in said
    assert "new: 2 (ctc_head/bias, ctc_head/kernel)" in said
    assert "heads_units/" in said
    listed = json.loads((workdir / "init.json").read_text())
    assert listed["step"] == 4
    assert "encoder/stem/project/kernel" in listed["loaded"]
    assert sorted(listed["new"]) == ["ctc_head/bias", "ctc_head/kernel"]
    launch("evaluate", f"--workdir={workdir}", "--split=test")
    summary = json.loads((workdir / "eval" / "test" / "summary.json").read_text())
    assert summary["utterances"] == 12
    resumed = launch("train", *flags, *FEW_STEPS, f"--workdir={workdir}")
    assert "parameters of step" not in resumed
    # Once more, of what it hears where it was given no transcripts.
    again = flags_of(packs, "configs/finetune.py:10,self_training,smoke")
    labels = packs / "heard.jsonl"
    launch("label", *again, f"--workdir={workdir}", "--checkpoint=last", f"--output={labels}")
    assert len(labels.read_text().splitlines()) == 11
    heard = (
        f"--config.labels.path={labels}",
        f"--config.init.workdir={workdir}",
        f"--workdir={packs / 'finer'}",
    )
    # The one that is transcribed, and the surest of the others.
    said = launch("train", *again, *FEW_STEPS, *heard)
    assert "new: none" in said
    assert 1 < int(re.search(r"(\d+) utterances", said)[1]) <= 12


def test_a_recogniser_learns_its_layers(hubert, spoken, tmp_path):
    """On the way they are split as its own are."""
    flags = ("--config=configs/distil.py:hidden,smoke", "--config.text.tokenizer=bpe")
    launch(
        "train",
        *flags,
        *FEW_STEPS,
        "--config.mesh.preset=fsdp",
        "--config.mesh.fsdp=2",
        f"--data_dir={spoken}",
        f"--config.teacher.workdir={hubert}",
        f"--workdir={tmp_path}",
        devices=2,
    )
    losses = [line["loss/hidden"] for line in metrics(tmp_path) if "loss" in line]
    assert all(0 < loss < np.inf for loss in losses)


def test_two_hosts_pretrain_and_start_from_it(packs, hubert):
    """Average, clusters, probe and warm start, each process with half of every batch."""
    del hubert  # it has prepared the corpora
    hosts = ("--processes=2", "--restarts=0", "--")
    mesh = ("--config.mesh.preset=fsdp", "--config.mesh.data=1", "--config.mesh.fsdp=0")
    pretrain = flags_of(packs, "configs/pretrain.py:data2vec,smoke", *FEW_STEPS, *mesh)
    workdir, fine = packs / "two", packs / "two-fine"
    launch("pods.local", *hosts, "launch.train", *pretrain, f"--workdir={workdir}")
    assert "validation/probe_cer" in metrics(workdir)[-1]
    finetune = flags_of(packs, "configs/finetune.py:smoke", *FEW_STEPS, *mesh)
    init = f"--config.init.workdir={workdir}"
    said = launch("pods.local", *hosts, "launch.train", *finetune, init, f"--workdir={fine}")
    assert said.count(f"parameters of step 4 of {workdir}") == 1
    assert "validation/wer" in metrics(fine)[-1]


def test_low_rank_changes_are_saved_apart_and_merged_on_request(packs, hubert):
    flags = flags_of(packs, "configs/finetune.py:lora,smoke", f"--config.init.workdir={hubert}")
    workdir, output = packs / "lora", packs / "merged"
    for steps in (2, 4):
        launch(
            "train", *flags, *FEW_STEPS, f"--config.train.num_steps={steps}", f"--workdir={workdir}"
        )
    checkpoints = Checkpoints(workdir)
    saved = checkpoints.params_shapes(checkpoints.find("last"))
    checkpoints.close()
    assert {path.split("/")[0] for path in saved} == {
        "encoder.layers.self_attention.query.kernel.down",
        "encoder.layers.self_attention.query.kernel.up",
        "encoder.layers.self_attention.value.kernel.down",
        "encoder.layers.self_attention.value.kernel.up",
        "new",
    }
    evaluate = ("evaluate", f"--workdir={workdir}", "--split=test", "--checkpoint=last")
    launch(*evaluate)
    moved = hubert.rename(packs / "moved")
    try:
        assert f"what they change is no longer in {hubert}: move it back" in refuse(*evaluate)
    finally:
        moved.rename(hubert)
    launch("merge", f"--workdir={workdir}", f"--output={output}", "--checkpoint=last")
    assert "holds a training already" in refuse(
        "merge", f"--workdir={workdir}", f"--output={output}"
    )
    launch("evaluate", f"--workdir={output}", "--split=test")
    apart, whole = (
        (folder / "eval" / "test" / "utterances.jsonl").read_text() for folder in (workdir, output)
    )
    assert apart == whole
    assert "nothing to merge" in refuse("merge", f"--workdir={output}", f"--output={packs / 'x'}")


def test_another_model_is_refused_with_both_sides(packs, hubert):
    flags = flags_of(
        packs,
        "configs/finetune.py:smoke",
        f"--config.init.workdir={hubert}",
        "--config.model.encoder.mlp_dim=48",
    )
    said = refuse("train", *flags, f"--workdir={packs / 'other'}")
    assert "holds another model; here and not there" in said
    assert "encoder/layers/first_mlp/" in said
    unlike = (*flags[:-1], "--config.model.encoder.position=none")
    said = refuse("train", *unlike, f"--workdir={packs / 'other'}")
    assert "config.model.encoder.position is 'rotary' there and 'none' here" in said


def test_a_start_that_is_not_named_is_missed(packs):
    flags = flags_of(packs, "configs/finetune.py:smoke")
    said = refuse("train", *flags, f"--workdir={packs / 'other'}")
    assert "config.init.workdir is empty, and config.init.new says" in said


def test_a_pretrained_encoder_transcribes_nothing(hubert):
    said = refuse("evaluate", f"--workdir={hubert}", "--split=validation")
    assert "recognises no words: fine-tune it" in said


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    rng = np.random.default_rng(0)
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    lines = [" ".join(rng.choice(words, rng.integers(3, 9))) for _ in range(1200)]
    (folder / "lines.txt").write_text("\n".join(lines))
    return folder


@pytest.mark.parametrize("kind", ["causal", "mlm", "mlm,decoder"])
def test_text_alone_is_learned_from(kind, text):
    workdir = text / kind
    flags = (
        f"--config=configs/text.py:{kind},smoke",
        f"--config.corpus.options.path={text / 'lines.txt'}",
        "--config.text.tokenizer=character",
        f"--workdir={workdir}",
    )
    for steps in (2, 4):
        launch("train", *flags, *FEW_STEPS, f"--config.train.num_steps={steps}")
    assert np.isfinite(metrics(workdir)[-1]["validation/loss"])


@pytest.mark.parametrize("scratch", ["", ",scratch"])
def test_a_recogniser_s_decoder_starts_from_a_language_model(scratch, text, spoken, tmp_path):
    language_model = tmp_path / "text"
    launch(
        "train",
        "--config=configs/text.py:causal,smoke",
        f"--config.corpus.options.path={text / 'lines.txt'}",
        "--config.text.tokenizer=byte",
        "--config.text.vocab_size=0",
        *FEW_STEPS,
        f"--workdir={language_model}",
    )
    flags = (
        f"--config=configs/finetune.py:decoder,spoken,smoke{scratch}",
        f"--data_dir={spoken}",
        f"--config.init.workdir={language_model}",
        *FEW_STEPS,
    )
    said = launch("train", *flags, f"--workdir={tmp_path / 'fine'}")
    loaded = int(re.search(r": (\d+) loaded;", said)[1])
    assert loaded == 0 if scratch else loaded > 10
    assert "validation/wer" in metrics(tmp_path / "fine")[-1]
    if not scratch:
        unlike = (*flags, "--config.model.decoder.position=rotary")
        said = refuse("train", *unlike, f"--workdir={tmp_path / 'unlike'}")
        assert "config.model.decoder.position is 'sinusoidal' there and 'rotary' here" in said


def test_unpaired_speech_and_text_are_learned_from(tmp_path):
    flags = ("--config=configs/gan.py:smoke", f"--data_dir={tmp_path / 'data'}")
    launch("prepare", *flags)
    for steps in (2, 4):
        launch(
            "train",
            *flags,
            *FEW_STEPS,
            f"--config.train.num_steps={steps}",
            f"--workdir={tmp_path}",
        )
    last = metrics(tmp_path)[-1]
    assert last["validation/unit_error_rate"] > 0
    assert 0 < last["validation/unit_usage"] <= 1
    lines = [line for line in metrics(tmp_path) if "loss" in line]
    assert {f"loss/{name}" for name in ("generator", "discriminator", "diversity")} <= set(lines[0])
    moved = (tmp_path / "data").rename(tmp_path / "moved")
    printed = launch(
        "evaluate",
        f"--workdir={tmp_path}",
        "--split=validation",
        "--checkpoint=last",
        f"--data_dir={moved}",
    )
    assert re.search(r"unit error rate [\d.]+ % \[.*\] on \d+ units of 8 utterances", printed)
    summary = json.loads((tmp_path / "eval" / "validation" / "summary.json").read_text())
    assert summary["wer"] == pytest.approx(last["validation/unit_error_rate"])
    # Units that were generated, of all that the text it reads has.
    rows = (tmp_path / "eval" / "validation" / "utterances.jsonl").read_text().splitlines()
    used = {unit for row in rows for unit in json.loads(row)["hypothesis"].split()}
    config = gan.get_config("smoke")
    whole = open_corpus(config.corpus, "train[50%:]", str(moved)).utterances
    units = set("".join(utterance.text for utterance in whole)) - {" "}
    assert last["validation/unit_usage"] == pytest.approx(len(used) / len(units))


def test_what_reads_more_than_parameters_takes_no_low_rank_changes(packs, hubert, tmp_path):
    module = tmp_path / "changed.py"
    module.write_text(
        "from ml_collections import ConfigDict\n"
        "from configs import pretrain\n"
        "def get_config():\n"
        "    config = pretrain.get_config('hubert,smoke')\n"
        "    config.lora = ConfigDict({'parameters': ('query/kernel',)})\n"
        "    return config\n"
    )
    flags = flags_of(packs, module, f"--config.init.workdir={hubert}", f"--workdir={tmp_path}")
    said = refuse("train", *flags, "--config.clusters.num_clusters=8")
    assert "config.model.name is 'masked_speech': train it whole" in said
