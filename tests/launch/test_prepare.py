import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[2]

CONFIG = """
    from ml_collections import ConfigDict

    def get_config():
        corpus = {"kind": "manifest", "name": "mine", "sample_rate": 8000, "options": {}}
        return ConfigDict({"corpus": corpus})
"""


@pytest.fixture
def prepare(tmp_path):
    (tmp_path / "mine.py").write_text(textwrap.dedent(CONFIG))

    def run_prepare(*arguments: str) -> tuple[int, str, list[str]]:
        config, data_dir = f"--config={tmp_path}/mine.py", f"--data_dir={tmp_path}/data"
        finished = subprocess.run(
            [sys.executable, "-m", "launch.prepare", config, data_dir, *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        return finished.returncode, finished.stdout, finished.stderr.splitlines()

    return run_prepare


def test_prepares_once_and_says_what_is_there(prepare, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.full(16000, 0.1), 16000)
    row = {"id": "a", "audio": "a.wav", "text": "one"}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(row))
    code, out, _ = prepare(f"--source={tmp_path}")
    folder = tmp_path / "data/jasr/mine-8000hz/1.0.0"
    assert (code, out) == (0, f"prepared {folder}: train 1 utterances (0.00 h)\n")
    code, out, error = prepare(f"--source={tmp_path}")
    assert (code, error) == (0, [])
    assert out.startswith("already prepared")


def test_a_source_that_cannot_be_used_ends_in_one_line(prepare, tmp_path):
    code, _, error = prepare(f"--source={tmp_path}/nowhere")
    assert code == 1
    assert error == [
        f"error: {tmp_path}/nowhere does not exist: expected a manifest, or a folder that holds one"
    ]
    code, _, error = prepare()
    assert code == 1
    assert error[0].startswith("error: corpus kind 'manifest' needs --source")
