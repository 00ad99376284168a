import pickle

import numpy as np
import pytest

from jasr.corpora.catalogue import open_corpus, prepare_corpus
from jasr.corpora.joined import JoinedCorpus
from jasr.errors import UserError

CONFIG = {"kind": "manifest", "name": "tones", "sample_rate": 16000, "options": {}}


def test_all_parts_are_at_one_rate(make_manifest, tmp_path):
    source = make_manifest({"train": 2})
    parts = []
    for rate in (8000, 16000):
        config = {**CONFIG, "sample_rate": rate}
        prepare_corpus(config, source, tmp_path / "data")
        parts.append(open_corpus(config, "train", tmp_path / "data"))
    with pytest.raises(UserError, match="tones are at 8000 and 16000 Hz: give all of them one"):
        JoinedCorpus(parts)


def test_joined_splits_stand_one_after_the_other(make_manifest, tmp_path):
    prepare_corpus(CONFIG, make_manifest({"train": 4, "dev": 3}), tmp_path / "data")
    parts = [open_corpus(CONFIG, split, tmp_path / "data") for split in ("train", "dev")]
    joined = pickle.loads(pickle.dumps(open_corpus(CONFIG, "train+dev", tmp_path / "data")))
    assert joined.split == "train+dev"
    ids = [utterance.id for part in parts for utterance in part.utterances]
    assert [utterance.id for utterance in joined.utterances] == ids
    waves = [part.read(index) for part in parts for index in range(len(part))]
    for index, wave in enumerate(waves):
        np.testing.assert_array_equal(joined.read(index), wave)
        np.testing.assert_array_equal(joined.read_piece(index, 5, 900), wave[5:900])
    assert joined.fingerprint != parts[0].fingerprint
