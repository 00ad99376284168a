import pytest
from tone_corpus import SAMPLE_RATE, write_manifest

from jasr.corpora.manifest_file import ManifestCorpus


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> ManifestCorpus:
    return ManifestCorpus(write_manifest(tmp_path_factory.mktemp("tones"), 24), SAMPLE_RATE)
