import json
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import ml_collections
import numpy as np
import pytest
import soundfile
import tensorflow_datasets as tfds

from jasr.corpora.catalogue import open_corpus, prepare_corpus
from jasr.corpora.manifest_file import ManifestCorpus
from jasr.corpora.noisy import NoisyCorpus
from jasr.corpora.part import PartOfCorpus
from jasr.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
CONFIG = {"kind": "manifest", "name": "tones", "sample_rate": 16000, "options": {}}
FOLDER = Path("jasr/tones-16000hz/1.0.0")


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_what_is_prepared_is_what_the_files_hold(make_manifest, tmp_path):
    source = make_manifest({"train": 7, "dev": 2}, mood="glad")
    prepared = prepare_corpus(ml_collections.ConfigDict(CONFIG), source, tmp_path / "data")
    assert prepared.folder == tmp_path / "data" / FOLDER
    assert prepared.summary().startswith("prepared ")
    assert "train 7 utterances" in prepared.summary()

    for split in ("train", "validation"):
        corpus = open_corpus(CONFIG, split, tmp_path / "data")
        original = ManifestCorpus(source, 16000, split=split)
        wanted = {u.id: (u, original.read(i)) for i, u in enumerate(original.utterances)}
        assert {u.id for u in corpus.utterances} == set(wanted)
        for index, utterance in enumerate(corpus.utterances):
            expected, wave = wanted[utterance.id]
            assert utterance == expected
            assert utterance.labels == {"mood": "glad"}
            np.testing.assert_array_equal(corpus.read(index), wave)


def test_a_piece_is_read_without_the_rest(make_manifest, tmp_path):
    source = make_manifest({"train": 1})
    random = np.random.default_rng(0)
    length = 16_000 * 60
    soundfile.write(source / "audio/train-0.flac", random.uniform(-0.5, 0.5, length), 16_000)
    prepare_corpus(CONFIG, source, tmp_path)
    corpus = open_corpus(CONFIG, "train", tmp_path)
    under_noise = NoisyCorpus(corpus, (0.0, 10.0))
    for start, stop in ((0, 100), (7, 4096), (500_001, 620_000), (length - 3, length + 9)):
        for one in (corpus, PartOfCorpus(corpus, range(0, 100)), under_noise):
            wave = one.read(0)
            np.testing.assert_array_equal(one.read_piece(0, start, stop), wave[start:stop])
    assert corpus.read_piece(0, length + 5, length + 9).size == 0


def test_resamples_mixes_down_and_stores_16_bit_flac(make_manifest, tmp_path):
    source = make_manifest({"train": 2})
    stereo = np.stack([np.full(4410, 0.5), np.full(4410, 0.1)], axis=1)
    soundfile.write(source / "audio/train-1.wav", stereo, 44100, subtype="PCM_24")
    (source / "audio/train-1.wav").rename(source / "audio/train-1.flac")
    prepare_corpus({**CONFIG, "sample_rate": 8000}, source, tmp_path)
    corpus = open_corpus({**CONFIG, "sample_rate": 8000}, "train", tmp_path)
    index = [utterance.id for utterance in corpus.utterances].index("train-1")
    assert corpus.utterances[index].duration == pytest.approx(0.1)
    assert corpus.read(index).shape == (800,)
    assert corpus.read(index)[200:600] == pytest.approx(0.3, abs=0.01)


def test_tfds_itself_can_read_it(make_manifest, tmp_path):
    prepared = prepare_corpus(CONFIG, make_manifest({"train": 3}), tmp_path)
    records = tfds.builder_from_directory(prepared.folder).as_data_source("train")
    corpus = open_corpus(CONFIG, "train", tmp_path)
    assert [record["id"].decode() for record in records] == [u.id for u in corpus.utterances]
    assert records[0]["audio"].startswith(b"fLaC")
    assert json.loads(records[0]["labels"]) == {}


def test_text_that_nobody_wrote_stays_none(make_manifest, tmp_path):
    prepare_corpus(CONFIG, make_manifest({"train": 2}, text=None, speaker=None), tmp_path)
    corpus = open_corpus(CONFIG, "train", tmp_path)
    assert [(u.text, u.speaker) for u in corpus.utterances] == [(None, None)] * 2


def test_pickles_small_and_reads_elsewhere(make_manifest, tmp_path):
    prepare_corpus(CONFIG, make_manifest({"train": 9}), tmp_path)
    corpus = open_corpus(CONFIG, "train", tmp_path)
    first = corpus.read(0)
    pickled = pickle.dumps(corpus)
    assert len(pickled) < 1000
    np.testing.assert_array_equal(pickle.loads(pickled).read(0), first)
    assert pickle.loads(pickled).fingerprint == corpus.fingerprint


def test_a_second_preparation_does_nothing_and_a_changed_source_is_prepared_again(
    make_manifest, tmp_path
):
    source = make_manifest({"train": 2})
    first = prepare_corpus(CONFIG, source, tmp_path)
    before = contents(first.folder)
    second = prepare_corpus(CONFIG, source / "manifest.jsonl", tmp_path)
    assert second.summary().startswith("already prepared")
    assert contents(first.folder) == before

    larger = make_manifest({"train": 4}, name="larger")
    assert prepare_corpus(CONFIG, larger, tmp_path).summary().startswith("prepared again")
    assert len(open_corpus(CONFIG, "train", tmp_path)) == 4
    assert {path.name for path in first.folder.parent.iterdir()} == {".lock", "1.0.0"}


def test_audio_that_was_changed_in_its_place_is_prepared_again(make_manifest, tmp_path):
    source = make_manifest({"train": 1})
    for loudness in (0.1, 0.3):
        noise = loudness * np.random.default_rng(0).standard_normal(8000)
        soundfile.write(source / "noise.wav", noise, 16000)
        (source / "noise.wav").rename(source / "audio/train-1.flac")
        prepare_corpus(CONFIG, source, tmp_path)
        heard = open_corpus(CONFIG, "train", tmp_path).read(0)
        assert heard.std() == pytest.approx(loudness, rel=0.05)


def test_a_recording_that_lasts_otherwise_than_is_said_is_left_out(make_manifest, tmp_path):
    source = make_manifest({"train": 3}, duration=0.35)
    assert "2 recordings could not be read" in prepare_corpus(CONFIG, source, tmp_path).summary()
    corpus = open_corpus(CONFIG, "train", tmp_path)
    assert [utterance.id for utterance in corpus.utterances] == ["train-3"]
    assert "lasts 0.10 s, and its source says 0.35 s" in corpus.problems[0].reason


def test_preparing_twice_gives_the_same_bytes(make_manifest, tmp_path):
    source = make_manifest({"train": 12, "test": 3})
    one = prepare_corpus(CONFIG, source, tmp_path / "one").folder
    two = prepare_corpus(CONFIG, source, tmp_path / "two").folder
    assert contents(one) == contents(two)


def test_unreadable_files_are_left_out_counted_and_named(make_manifest, tmp_path):
    source = make_manifest({"train": 7})
    streamed = bytearray((source / "audio/train-7.flac").read_bytes())
    # The number of samples in STREAMINFO, as an encoder leaves it that writes to a pipe.
    streamed[21] &= 0xF0
    streamed[22:26] = bytes(4)
    (source / "audio/train-7.flac").write_bytes(streamed)
    (source / "audio/train-1.flac").write_bytes(b"not audio at all")
    (source / "audio/train-2.flac").unlink()
    soundfile.write(source / "audio/train-3.flac", np.zeros(0), 16000)
    nan = np.full(1600, np.nan, dtype=np.float32)
    soundfile.write(source / "audio/train-4.wav", nan, 16000, subtype="FLOAT")
    (source / "audio/train-4.wav").rename(source / "audio/train-4.flac")

    prepared = prepare_corpus(CONFIG, source, tmp_path)
    assert "5 recordings could not be read" in prepared.summary()
    rows = [json.loads(line) for line in (prepared.folder / "problems.jsonl").open()]
    assert [row["id"] for row in rows] == [f"train-{number}" for number in (1, 2, 3, 4, 7)]
    assert all(f"{row['id']}.flac" in row["reason"] for row in rows)
    corpus = open_corpus(CONFIG, "train", tmp_path)
    assert {utterance.id for utterance in corpus.utterances} == {"train-5", "train-6"}
    assert [problem.id for problem in corpus.problems] == [row["id"] for row in rows]


def test_nothing_readable_is_an_error_that_keeps_what_was_there(make_manifest, tmp_path):
    prepare_corpus(CONFIG, make_manifest({"train": 3}), tmp_path)
    broken = make_manifest({"train": 2}, name="broken")
    for path in (broken / "audio").iterdir():
        path.write_bytes(b"")
    with pytest.raises(UserError, match="split 'train': none of its 2 recordings"):
        prepare_corpus(CONFIG, broken, tmp_path)
    assert len(open_corpus(CONFIG, "train", tmp_path)) == 3


def test_a_corrupt_record_is_an_error_that_names_the_utterance(make_manifest, tmp_path):
    prepared = prepare_corpus(CONFIG, make_manifest({"train": 20}), tmp_path)
    corpus = open_corpus(CONFIG, "train", tmp_path)
    (path,) = prepared.folder.glob("*.array_record*")
    record = bytearray(path.read_bytes())
    start = record.index(b"fLaC") - 30
    record[start : start + 60] = os.urandom(60)
    path.write_bytes(record)
    failures = {}
    for index, utterance in enumerate(corpus.utterances):
        try:
            corpus.read(index)
        except UserError as error:
            failures[utterance.id] = str(error)
    assert failures
    assert len(failures) < 20
    for id_, message in failures.items():
        assert id_ in message
        assert "\n" not in message


def test_what_is_missing_is_said_with_what_to_do(make_manifest, tmp_path):
    with pytest.raises(
        UserError, match=r"python -m launch.prepare --config=CONFIG --source=FOLDER"
    ):
        open_corpus(CONFIG, "train", tmp_path)
    source = make_manifest({"train": 1, "test": 1})
    prepare_corpus(CONFIG, source, tmp_path)
    with pytest.raises(UserError, match="no split 'validation'; it has test, train"):
        open_corpus(CONFIG, "validation", tmp_path)
    with pytest.raises(UserError, match="not prepared"):
        open_corpus({**CONFIG, "kind": "librispeech"}, "train", tmp_path)
    assert prepare_corpus(CONFIG, None, tmp_path).action == "already prepared:"
    for config, data_dir in (
        (CONFIG, tmp_path / "elsewhere"),
        ({**CONFIG, "kind": "librispeech"}, tmp_path),
    ):
        with pytest.raises(UserError, match="needs --source"):
            prepare_corpus(config, None, data_dir)
    with pytest.raises(UserError, match="takes no --source"):
        prepare_corpus({**CONFIG, "kind": "spoken"}, source, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "manifst"}, "config.corpus.kind is 'manifst': did you mean 'manifest'"),
        ({"sample_rat": 1}, "config.corpus has no 'sample_rat': did you mean 'sample_rate'"),
        ({"sample_rate": "8k"}, "config.corpus.sample_rate is '8k'"),
        ({"name": "../x"}, "config.corpus.name is '../x'"),
        ({"options": {"seed": 1}}, "config.corpus.options has no 'seed'"),
        ({"kind": "spoken", "options": {"sead": 1}}, "no 'sead': did you mean 'seed'"),
        ({"kind": "spoken", "options": {"seed": "1"}}, "options.seed is '1': expected int"),
    ],
)
def test_a_config_that_cannot_be_used_is_said_by_key(tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        open_corpus({**CONFIG, **change}, "train", tmp_path)


def run_preparation(source: Path, data_dir: Path, *, before: str = "") -> subprocess.Popen:
    program = f"""
        from jasr.corpora.catalogue import prepare_corpus
        from jasr.errors import UserError
        {before}
        try:
            prepare_corpus({CONFIG!r}, {str(source)!r}, {str(data_dir)!r})
        except UserError as error:
            raise SystemExit(f"user error: {{error}}")
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_kill_leaves_nothing_that_looks_complete(make_manifest, tmp_path):
    source = make_manifest({"train": 3})
    fifo = source / "audio/train-2.flac"
    fifo.unlink()
    # Reading it never ends, so the kill comes in the middle.
    os.mkfifo(fifo)
    process = run_preparation(source, tmp_path / "data")
    staging = tmp_path / "data" / FOLDER.parent / "incomplete"
    deadline = time.monotonic() + 60
    while not list(staging.rglob("incomplete*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert staging.is_dir()
    with pytest.raises(UserError, match="not prepared"):
        open_corpus(CONFIG, "train", tmp_path / "data")

    fifo.unlink()
    assert prepare_corpus(CONFIG, source, tmp_path / "data").num_problems == 1
    assert not staging.exists()


def test_a_full_disk_ends_in_one_line_and_keeps_what_was_there(make_manifest, tmp_path):
    prepare_corpus(CONFIG, make_manifest({"train": 2}), tmp_path / "data")
    rng = np.random.default_rng(0)
    larger = make_manifest({"train": 8}, name="larger")
    for path in (larger / "audio").iterdir():
        soundfile.write(path, rng.uniform(-1, 1, 16000), 16000)
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))"
    process = run_preparation(larger, tmp_path / "data", before=limit)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "could not be prepared: File too large" in stderr.splitlines()[-1]
    assert len(open_corpus(CONFIG, "train", tmp_path / "data")) == 2
    assert not (tmp_path / "data" / FOLDER.parent / "incomplete").exists()


def test_a_data_dir_that_cannot_be_written_is_a_user_error(make_manifest, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="could not be prepared"):
        prepare_corpus(CONFIG, make_manifest({"train": 1}), tmp_path / "file")
