import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from jasr.corpora.catalogue import open_corpus, prepare_corpus
from jasr.errors import UserError

OPTIONS = {"feature_sample_rate": 8000, "id": ""}
CONFIG = {"kind": "tfds", "name": "stock", "sample_rate": 16000, "options": OPTIONS}


class StockSet(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A set of the shape that TFDS's own have: integers for samples, classes for labels."""

    name = "stock_set"
    VERSION = tfds.core.Version("2.0.0")
    code_path = None

    def _info(self):
        features = {
            "speech": tfds.features.Tensor(shape=(None,), dtype=np.int64),
            "text": tfds.features.Text(),
            "speaker_id": np.int64,
            "accent": tfds.features.ClassLabel(names=["scots", "welsh"]),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        del dl_manager
        return {"train": self._generate_examples(3), "test": self._generate_examples(2)}

    def _generate_examples(self, count):
        for number in range(count):
            samples = np.full(800 * (number + 1), 1000 * (number + 1))
            yield number, {"speech": samples, "text": f"n {number}", "speaker_id": 7, "accent": 1}


@pytest.fixture
def stock(tmp_path):
    builder = StockSet(data_dir=tmp_path / "tfds", file_format="array_record")
    builder.download_and_prepare()
    return Path(builder.data_dir)


def test_takes_over_a_prepared_set(stock, tmp_path):
    config = {**CONFIG, "sample_rate": 8000}
    prepare_corpus(config, stock, tmp_path / "data")
    corpus = open_corpus(config, "train", tmp_path / "data")
    assert len(open_corpus(config, "test", tmp_path / "data")) == 2
    found = {u.text: (u.speaker, u.labels, corpus.read(i)) for i, u in enumerate(corpus.utterances)}
    assert set(found) == {"n 0", "n 1", "n 2"}
    speaker, labels, wave = found["n 2"]
    assert (speaker, labels) == ("7", {"accent": "welsh"})
    np.testing.assert_array_equal(wave, np.full(2400, np.float32(3000 / 32768)))


def test_resamples(stock, tmp_path):
    prepare_corpus(CONFIG, stock, tmp_path / "data")
    corpus = open_corpus(CONFIG, "train", tmp_path / "data")
    assert sorted(len(corpus.read(i)) for i in range(3)) == [1600, 3200, 4800]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "does not say the sample rate of 'speech'"),
        ({"audio": "sound"}, r"has no feature 'sound' .*options.audio.*; it has "),
        ({"id": "id"}, "has no feature 'id'"),
    ],
)
def test_options_that_do_not_fit_the_set(stock, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        prepare_corpus({**CONFIG, "options": {"id": "", **options}}, stock, tmp_path / "data")


def test_a_folder_that_is_no_prepared_set(tmp_path):
    with pytest.raises(UserError, match=r"no dataset_info.json"):
        prepare_corpus(CONFIG, tmp_path, tmp_path / "data")


def test_says_that_tensorflow_is_needed(stock, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # importing it fails, installed or not
    info = stock / "dataset_info.json"
    info.write_text(info.read_text().replace('"array_record"', '"tfrecord"'))
    with pytest.raises(UserError, match="needs TensorFlow"):
        prepare_corpus(CONFIG, stock, tmp_path / "data")
