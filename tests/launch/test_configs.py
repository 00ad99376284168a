"""Every config, in its smoke version, on its own kind of data: prepare, train, stop, resume, score.

One file of configs without a line here is an error, so that none goes untried.
"""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from launching import ROOT, launch, metrics

from configs.defaults import get_defaults

PACKS = {"fsdd": "fsdd", "an4": "an4", "speechocean": "speechocean762"}
# test_spine.py and test_pretraining.py take them through everything.
ELSEWHERE = {
    "quickstart",
    "pretrain",
    "finetune",
    "text",
    "gan",
    "multitask",
    "digits",
    "barista",
    "distil",
}
WORDS = (
    "THE CAT SAT ON A MAT BY AN OLD MILL WHERE WATER RAN UNDER HEAVY STONES AND CHILDREN PLAYED "
    "WITH QUICK BROWN FOXES JUMPING OVER LAZY DOGS WHILE EVENING SETTLED UPON VALLEYS FAR BELOW"
)
NOT_CONFIGS = {"__init__", "defaults", "models"}


def test_no_config_is_forgotten():
    files = {path.stem for path in (ROOT / "configs").glob("*.py")}
    assert files == set(PACKS) | ELSEWHERE | NOT_CONFIGS | {"librispeech"}


def test_a_regular_expression_can_be_a_key():
    config = get_defaults()
    for section in (config.optimizer.multipliers, config.optimizer.unfreeze, config.init.rename):
        section["^encoder/.*/kernel$"] = 0.5
    assert config.to_dict()["init"]["rename"] == {"^encoder/.*/kernel$": 0.5}


def some_of(
    pack: Path,
    folder: Path,
    per_split: int = 16,
    splits: tuple[str, ...] = ("train", "dev", "test"),
) -> Path:
    """A manifest of a few utterances from all over each split of a pack."""
    rows = [json.loads(line) for line in (pack / "manifest.jsonl").read_text().splitlines()]
    kept = []
    for split in splits:
        there = [row for row in rows if row["split"] == split]
        chosen = there[:: len(there) // per_split][:per_split]
        kept += [row | {"audio": str(pack / row["audio"])} for row in chosen]
    manifest = folder / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in kept))
    return folder


def go_through(config: str, source: Path | None, folder: Path, split: str, *training: str) -> dict:
    """Two steps, a stop, two more, and the score.

    training: flags for the training alone.
    """
    flags = (f"--config={config}", f"--data_dir={folder / 'data'}")
    launch("prepare", *flags, *([f"--source={source}"] if source else []))
    for steps in (2, 4):
        launch(
            "train",
            *flags,
            f"--workdir={folder / 'run'}",
            f"--config.train.num_steps={steps}",
            "--config.data.num_buckets=1",  # each is a program to compile
            *training,
        )
    launch(
        "evaluate",
        f"--workdir={folder / 'run'}",
        f"--data_dir={folder / 'data'}",
        f"--split={split}",
    )
    summary = json.loads((folder / "run" / "eval" / split / "summary.json").read_text())
    assert summary["step"] in (2, 4)
    lines = metrics(folder / "run")
    assert [line["step"] for line in lines if "loss" in line] == [2, 4]
    assert all(np.isfinite(line["loss"]) for line in lines if "loss" in line)
    return summary


@pytest.mark.parametrize("name", PACKS)
def test_a_config_of_real_recordings(name, real_data, tmp_path):
    source = some_of(real_data / PACKS[name], tmp_path)
    summary = go_through(f"configs/{name}.py:smoke", source, tmp_path, "test")
    assert summary["utterances"] == 16


def test_the_quickstart(tmp_path):
    summary = go_through("configs/quickstart.py:smoke", None, tmp_path, "test")
    assert summary["decoding"] == "attention-greedy"


def test_digits_their_parity_and_who_says_them(real_data, tmp_path):
    source = some_of(real_data / "fsdd", tmp_path, per_split=20)
    summary = go_through("configs/digits.py:smoke", source, tmp_path, "test")
    scored = {name: figures["utterances"] for name, figures in summary["tasks"].items()}
    # Speakers are known of the recordings that were kept back of the voices that were heard.
    assert scored == {"digit": 20, "parity": 20, "speaker": 2}


def test_sentences_and_their_roles_each_by_a_search_of_its_own(tmp_path):
    folder = tmp_path / "sentences"
    folder.mkdir()
    roles = {
        "ARG0": {"phrase": "Anna", "span": [0, 1]},
        "V": {"phrase": "gave", "span": [1, 2]},
        "ARG1": {"phrase": "letter", "span": [3, 4]},
    }
    splits = ("train",) * 4 + ("validation", "test")
    rows = [
        {"id": f"s{number}", "text": "Anna gave a letter.", "split": split, "roles": roles}
        for number, split in enumerate(splits)
    ]
    (folder / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = "configs/multitask.py:treebank,smoke"
    tokens = "--config.text.tokenizer=unigram", "--config.text.vocab_size=20"
    summary = go_through(config, folder, tmp_path, "test", *tokens)
    searches = {name: figures["decoding"] for name, figures in summary["tasks"].items()}
    assert searches == {"transcript": "ctc-greedy", "roles": "attention-greedy(well-formed)"}


def test_orders_from_recordings_and_from_texts_that_are_spoken(real_data, tmp_path):
    for folder in ("barista", "orders"):
        (tmp_path / folder).mkdir()
    some_of(real_data / "barista", tmp_path / "barista")
    order = {"text": "a small latte", "intent": "orderDrink", "slots": {"size": "small"}}
    rows = [json.dumps({"id": f"o{number}", **order}) + "\n" for number in range(4)]
    (tmp_path / "orders" / "texts.jsonl").write_text("".join(rows))
    summary = go_through("configs/barista.py:spoken,smoke", tmp_path, tmp_path, "test")
    figures = summary["tasks"]["slots"]
    assert figures["utterances"] == 16
    assert 0 <= figures["slu_f1"] <= 1


def test_librispeech_with_every_argument(tmp_path):
    rng = np.random.default_rng(0)
    for split in ("train-clean-100", "dev-clean"):
        with tarfile.open(tmp_path / f"{split}.tar.gz", "w:gz") as archive:
            transcripts = []
            for number in range(12):
                name = f"103-1240-{number:04}"
                audio = io.BytesIO()
                wave = 0.1 * rng.standard_normal(16_000 + 1000 * number)
                soundfile.write(audio, wave, 16_000, format="FLAC")
                add(archive, f"LibriSpeech/{split}/103/1240/{name}.flac", audio.getvalue())
                transcripts.append(f"{name} {' '.join(rng.permutation(WORDS.split())[:6])}\n")
            text = "".join(transcripts).encode()
            add(archive, f"LibriSpeech/{split}/103/1240/103-1240.trans.txt", text)
    config = "configs/librispeech.py:conformer,large,clean100,smoke"
    masters = "--config.optimizer.params_dtype=bfloat16"
    summary = go_through(config, tmp_path, tmp_path, "dev-clean", masters)
    assert summary["decoding"].startswith("attention-beam(4")


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))
