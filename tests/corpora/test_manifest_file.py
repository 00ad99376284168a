import json
import pickle

import numpy as np
import pytest
import soundfile

from jasr.corpora.manifest import ManifestSource
from jasr.corpora.manifest_file import ManifestCorpus, find_manifest, read_manifest
from jasr.corpora.source import NoOptions
from jasr.errors import UserError


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_reads_json_lines_with_labels_and_defaults(tmp_path):
    rows = [
        {"id": 7, "audio": "a/x.wav", "text": "héllo", "speaker": 3, "split": "test", "digit": 4},
        {"id": "b", "audio": "/abs/y.flac", "text": None, "duration": 1.5},
    ]
    path = write(tmp_path / "manifest.jsonl", "\n".join(map(json.dumps, rows)) + "\n\n")
    first, second = read_manifest(path)
    assert (first.id, first.speaker, first.split, first.text) == ("7", "3", "test", "héllo")
    assert first.audio == tmp_path / "a/x.wav"
    assert first.labels == {"digit": 4}
    assert (second.split, second.text, second.duration) == ("train", None, 1.5)
    assert str(second.audio) == "/abs/y.flac"


def test_reads_tsv_where_an_empty_cell_is_not_given(tmp_path):
    text = 'id\taudio\ttext\tspeaker\tmood\r\n1\tx.wav\tsay "hi"\t\tglad\r\n2\ty.wav\t\tbo\t\r\n'
    first, second = read_manifest(write(tmp_path / "m.tsv", text))
    assert (first.text, first.speaker, first.labels) == ('say "hi"', None, {"mood": "glad"})
    assert (second.text, second.speaker, second.labels) == (None, "bo", {})


def test_separators_of_unicode_do_not_end_a_row(tmp_path):
    row = json.dumps({"id": "a", "audio": "x.wav", "text": "one\u2028two"}, ensure_ascii=False)
    assert read_manifest(write(tmp_path / "m.jsonl", row))[0].text == "one\u2028two"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("m.jsonl", '{"id": "a", "audio": "x"}\n{"id": "b"}', "m.jsonl:2: no 'audio'"),
        ("m.jsonl", '{"id": "a", "audio": "x"}\n{"id": ', "m.jsonl:2: not JSON"),
        ("m.jsonl", '["a"]', "m.jsonl:1: expected a JSON object"),
        ("m.jsonl", '{"id": "a", "audio": "x"}\n' * 2, "m.jsonl:2: id 'a' .* line 1"),
        ("m.jsonl", '{"id": "a", "audio": "x", "text": 5}', "m.jsonl:1: 'text' should be a string"),
        (
            "m.jsonl",
            '{"id": "a", "audio": "x", "duration": "long"}',
            "'duration' should be seconds",
        ),
        ("m.jsonl", '{"id": "a", "audio": "x", "duration": 1e15}', "at most a day"),
        ("m.jsonl", '{"id": "a", "audio": "x", "split": "a/b"}', "split 'a/b' cannot be"),
        ("m.jsonl", r'{"id": "\ud83d", "audio": "x"}', "m.jsonl:1: '.ud83d' is no character"),
        ("m.jsonl", r'{"id": "a", "audio": "x\u0000"}', "m.jsonl:1: .* is no character"),
        ("m.jsonl", '{"id": "a", "audio": "x", "n": ' + "1" * 5000 + "}", "m.jsonl:1: cannot be"),
        ("m.jsonl", "", "has no rows"),
        ("m.tsv", "a.wav\thello\n", "m.tsv:1: expected a header"),
        ("m.tsv", "id\taudio\n1\tx.wav\textra\n", "m.tsv:2: expected 2 cells"),
        ("m.csv", "id,audio\n", "expected a name that ends in .jsonl or .tsv"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_by_file_and_line(tmp_path, name, text, message):
    with pytest.raises(UserError, match=message) as caught:
        read_manifest(write(tmp_path / name, text))
    assert "\n" not in str(caught.value)


def test_a_manifest_that_is_not_there_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="holds no manifest"):
        find_manifest(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        find_manifest(tmp_path / "nowhere")
    (tmp_path / "latin.jsonl").write_bytes(b'{"id": "\xe9"}')
    with pytest.raises(UserError, match="not UTF-8"):
        read_manifest(tmp_path / "latin.jsonl")


def test_a_manifest_is_a_corpus_without_preparation(make_manifest):
    folder = make_manifest({"train": 2, "dev": 3})
    corpus = ManifestCorpus(folder, 8000, split="validation")
    assert (corpus.split, len(corpus)) == ("dev", 3)
    assert [utterance.duration for utterance in corpus.utterances] == pytest.approx([0.1, 0.2, 0.3])
    assert corpus.read(2).shape == (2400,)
    assert corpus.read(2).dtype == np.float32
    assert len(ManifestCorpus(folder / "manifest.jsonl", 8000)) == 5
    with pytest.raises(UserError, match="no split 'test'; it has dev, train"):
        ManifestCorpus(folder, 8000, split="test")


def test_files_that_cannot_be_read_are_problems_of_the_corpus(make_manifest):
    folder = make_manifest({"test": 3})
    (folder / "audio/test-1.flac").write_bytes(b"this is not audio")
    (folder / "audio/test-3.flac").unlink()
    corpus = ManifestCorpus(folder, 16000)
    assert [utterance.id for utterance in corpus.utterances] == ["test-2"]
    assert [problem.id for problem in corpus.problems] == ["test-1", "test-3"]
    assert corpus.read(0).shape == (3200,)


@pytest.mark.parametrize("column", [{"mood": "sad"}, {"text": "word"}, {"speaker": "bo"}])
def test_a_fingerprint_is_of_all_that_is_said_of_the_recordings(make_manifest, column):
    one = make_manifest({"train": 2}, name="one", mood="glad")
    same = make_manifest({"train": 2}, name="same", mood="glad")
    other = make_manifest({"train": 2}, name="other", **{"mood": "glad", **column})
    prints = [ManifestCorpus(folder, 16000).fingerprint for folder in (one, same, other)]
    assert prints[0] == prints[1] != prints[2]


def test_a_name_that_is_no_file_s_is_a_problem_of_the_corpus(tmp_path):
    manifest = write(tmp_path / "manifest.jsonl", json.dumps({"id": "a", "audio": "n" * 300}))
    assert ManifestSource(manifest, NoOptions()).fingerprint()
    (problem,) = ManifestCorpus(manifest, 16000).problems
    assert problem.id == "a"


def test_pickles_as_a_place(make_manifest):
    corpus = ManifestCorpus(make_manifest({"train": 3, "test": 2}), 16000, split="test")
    fingerprint = corpus.fingerprint
    pickled = pickle.dumps(corpus)
    assert len(pickled) < 1000
    again = pickle.loads(pickled)
    assert again.fingerprint == fingerprint
    np.testing.assert_array_equal(again.read(1), corpus.read(1))


def test_reads_the_real_packs(real_data):
    for pack in ("fsdd", "an4", "barista", "librispeech_unlabelled", "noise_rir", "speechocean762"):
        rows = read_manifest(real_data / pack / "manifest.jsonl")
        row = rows[len(rows) // 2]
        assert soundfile.info(row.audio).duration == pytest.approx(row.duration, abs=0.06)
