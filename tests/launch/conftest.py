"""A small spoken corpus and a recogniser trained on it for a few steps, made once."""

from pathlib import Path

import pytest
from launching import launch


@pytest.fixture(scope="session")
def spoken(tmp_path_factory) -> Path:
    """--data_dir with the smoke version of the embedded corpus."""
    folder = tmp_path_factory.mktemp("spoken")
    launch("prepare", "--config=configs/quickstart.py:smoke", f"--data_dir={folder}")
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory, spoken) -> Path:
    """Workdir of an uninterrupted training of eight steps."""
    workdir = tmp_path_factory.mktemp("runs") / "whole"
    launch(
        "train",
        "--config=configs/quickstart.py:ctc,smoke",
        f"--workdir={workdir}",
        f"--data_dir={spoken}",
    )
    return workdir
