import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from jasr.corpora.catalogue import open_corpus, prepare_corpus
from jasr.errors import UserError

CONFIG = {"kind": "librispeech", "name": "librispeech", "sample_rate": 16000}


def flac(seconds: float, *, seed: int, rate: int = 16000) -> bytes:
    noise = np.random.default_rng(seed).uniform(-0.3, 0.3, int(seconds * rate))
    file = io.BytesIO()
    soundfile.write(file, noise, rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def write_archive(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, contents in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(contents)
            tar.addfile(member, io.BytesIO(contents))


@pytest.fixture
def archives(tmp_path):
    """Two archives of LibriSpeech's layout; in one the transcripts come first, in one last."""
    folder = tmp_path / "archives"
    folder.mkdir()
    audio = {f"103-1240-000{n}": flac(0.2 + n / 10, seed=n) for n in range(3)}
    chapter = "LibriSpeech/train-clean-100/103/1240"
    transcripts = "103-1240-0000 CHAPTER ONE\n103-1240-0001 MISSUS LYNDE'S\n103-1240-0002 A\n"
    train = {f"{chapter}/{id_}.flac": contents for id_, contents in audio.items()}
    train[f"{chapter}/103-1240.trans.txt"] = transcripts.encode()
    train["LibriSpeech/train-clean-100/7/9/7-9-0000.flac"] = flac(0.4, seed=9)
    train["LibriSpeech/train-clean-100/7/9/7-9.trans.txt"] = b"7-9-0000 LAST\n"
    train["LibriSpeech/SPEAKERS.TXT"] = b"; nothing to see\n"
    write_archive(folder / "train-clean-100.tar.gz", train)
    dev = {
        "LibriSpeech/dev-clean/84/1/84-1.trans.txt": b"84-1-0000 GO\n",
        "LibriSpeech/dev-clean/84/1/84-1-0000.flac": flac(0.3, seed=5),
    }
    write_archive(folder / "dev-clean.tar.gz", dev)
    return folder, audio


def test_streams_archives_and_keeps_their_bytes(archives, tmp_path):
    folder, audio = archives
    prepared = prepare_corpus(CONFIG, folder, tmp_path / "data")
    assert {split: count for split, (count, _) in prepared.splits.items()} == {
        "dev-clean": 1,
        "train-clean-100": 4,
    }
    corpus = open_corpus(CONFIG, "train-clean-100", tmp_path / "data")
    texts = {u.id: (u.text, u.speaker, u.labels) for u in corpus.utterances}
    assert texts["103-1240-0001"] == ("MISSUS LYNDE'S", "103", {"chapter": "1240"})
    assert texts["7-9-0000"] == ("LAST", "7", {"chapter": "9"})
    for index, utterance in enumerate(corpus.utterances):
        if utterance.id in audio:
            expected, _ = soundfile.read(io.BytesIO(audio[utterance.id]), dtype="float32")
            np.testing.assert_array_equal(corpus.read(index), expected)
    stored = b"".join(path.read_bytes() for path in prepared.folder.glob("*train*array_record*"))
    assert all(contents in stored for contents in audio.values())
    assert open_corpus(CONFIG, "dev-clean", tmp_path / "data").utterances[0].text == "GO"


def test_another_sample_rate_is_resampled(archives, tmp_path):
    config = {**CONFIG, "sample_rate": 8000}
    prepare_corpus(config, archives[0], tmp_path / "data")
    assert open_corpus(config, "dev-clean", tmp_path / "data").read(0).shape == (2400,)


def test_nothing_is_written_outside_the_corpus(tmp_path):
    folder = tmp_path / "archives"
    folder.mkdir()
    files = {
        "../../../84-1.trans.txt": b"84-1-0000 GO\n",
        "../../../84-1-0000.flac": flac(1, seed=1),
    }
    write_archive(folder / "dev-clean.tar.gz", files)
    prepare_corpus(CONFIG, folder, tmp_path / "data")
    assert {path.name for path in tmp_path.iterdir()} == {"archives", "data"}


def test_damage_inside_an_archive_is_a_problem_of_the_utterance(archives, tmp_path):
    folder, _ = archives
    chapter = "LibriSpeech/test-clean/1/2"
    files = {
        f"{chapter}/1-2.trans.txt": b"1-2-0000 ONE\n1-2-0001 TWO\n",
        f"{chapter}/1-2-0000.flac": b"fLaC but no more",
        f"{chapter}/1-2-0001.flac": flac(0.2, seed=3),
    }
    write_archive(folder / "test-clean.tar.gz", files)
    prepared = prepare_corpus(CONFIG, folder, tmp_path / "data")
    (row,) = [json.loads(line) for line in (prepared.folder / "problems.jsonl").open()]
    assert (row["split"], row["id"]) == ("test-clean", "1-2-0000")
    assert len(open_corpus(CONFIG, "test-clean", tmp_path / "data")) == 1


def test_an_archive_cut_short_is_named(archives, tmp_path):
    folder, _ = archives
    path = folder / "dev-clean.tar.gz"
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(UserError, match=r"dev-clean.tar.gz is damaged or incomplete"):
        prepare_corpus(CONFIG, folder, tmp_path / "data")
    path.write_bytes(b"no archive")
    with pytest.raises(UserError, match=r"dev-clean.tar.gz is damaged or incomplete"):
        prepare_corpus(CONFIG, folder, tmp_path / "data")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"7-9.trans.txt": b"7-9-0000 caf\xe9\n"}, r"7-9.trans.txt in the archive is not UTF-8"),
        (
            {"7-9-0000.flac": flac(0.2, seed=0), "again/7-9-0000.flac": flac(0.3, seed=1)},
            "'7-9-0000'",
        ),
    ],
)
def test_what_an_archive_cannot_have_is_named(files, message, tmp_path):
    chapter = {f"LibriSpeech/dev-clean/7/9/{name}": contents for name, contents in files.items()}
    chapter.setdefault("LibriSpeech/dev-clean/7/9/7-9.trans.txt", b"7-9-0000 GO\n")
    write_archive(tmp_path / "dev-clean.tar.gz", chapter)
    with pytest.raises(UserError, match=message):
        prepare_corpus(CONFIG, tmp_path, tmp_path / "data")


def test_a_folder_without_archives_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="holds no LibriSpeech archive"):
        prepare_corpus(CONFIG, tmp_path, tmp_path / "data")
