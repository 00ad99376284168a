"""Mistakes on the command line end in one line."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

CONFIG = """
    import ml_collections
    from jasr.errors import UserError

    def get_config(arg=""):
        if arg == "large":
            raise UserError("no such size: 'large'")
        model = {"num_layers": 4, "dropout": 0.1, "pre_norm": True}
        config = ml_collections.ConfigDict({"model": model, "name": "x"})
        config.factors = ml_collections.ConfigDict(allow_dotted_keys=True)
        config.factors["^encoder/"] = 1
        config.empty = ml_collections.ConfigDict(allow_dotted_keys=True)
        return config
"""
PROGRAM = """
    from absl import flags
    from ml_collections import config_flags
    from jasr.errors import UserError
    from launch.main import run

    config = config_flags.DEFINE_config_file("config")
    flags.mark_flag_as_required("config")

    def main(argv):
        if config.value.name == "unprepared":
            raise UserError("not prepared: run python -m launch.prepare --config=CONFIG --x=1")
        if config.value.name == "bug":
            raise ValueError("a bug of ours")
        print(config.value.model.num_layers, config.value.model.pre_norm, *argv[1:])
        print(*config.value.factors.values())

    run(main)
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("launch")
    (folder / "config.py").write_text(textwrap.dedent(CONFIG))
    (folder / "program.py").write_text(textwrap.dedent(PROGRAM))

    def run_program(*arguments: str) -> tuple[int, str, str]:
        finished = subprocess.run(
            [sys.executable, str(folder / "program.py"), *arguments],
            cwd=folder,
            env={"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        return finished.returncode, finished.stdout, finished.stderr

    return run_program


def test_runs_with_overrides_and_other_arguments(program):
    code, out, _ = program(
        "--config=config.py", "--config.model.num_layers=3", "--noconfig.model.pre_norm", "a.wav"
    )
    assert (code, out) == (0, "3 False a.wav\n1\n")


def test_a_pattern_is_overridden_by_its_text(program):
    code, out, _ = program("--config=config.py", '--config.factors["^encoder/"]=5')
    assert (code, out) == (0, "4 True\n5\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--config=config.py", "--config.model.num_layer=3"],
            "--config.model.num_layer=3: config.model has no 'num_layer': "
            "did you mean 'num_layers'?",
        ),
        (
            ["--config", "config.py", "--config.modl.num_layers", "3"],
            "--config.modl.num_layers: config has no 'modl': did you mean 'model'?",
        ),
        (
            ["--config=config.py", "--config.zebra=3"],
            "--config.zebra=3: config has no 'zebra': choose from empty, factors, model, name",
        ),
        (
            ["--config=config.py", "--config.factors.^encoder/=3"],
            "--config.factors.^encoder/=3: no key has such a name; write a pattern as "
            'config.factors["PATTERN"]',
        ),
        (
            ["--config=config.py", '--config.factors["^encodr/"]=3'],
            "--config.factors[\"^encodr/\"]=3: config.factors has no '^encodr/': "
            "did you mean '^encoder/'?; a new pattern goes into the config module",
        ),
        (
            ["--config=config.py", '--config.factors["^encoder/"]=many'],
            "--config.factors[\"^encoder/\"]=many: config.factors['^encoder/'] should be of type "
            "int, as 1 is",
        ),
        (
            ["--config=config.py", '--config.empty["x"]=3'],
            "--config.empty[\"x\"]=3: config.empty has no 'x': it is empty; a new pattern goes "
            "into the config module",
        ),
        (
            ["--config=config.py", "--config.name.first=3"],
            "--config.name.first=3: config.name is 'x', which has no keys",
        ),
        (
            ["--config=config.py", "--config.model.num_layers=many"],
            "--config.model.num_layers=many: config.model.num_layers should be of type int, "
            "as 4 is",
        ),
        (
            ["--config=config.py", "--config.model.pre_norm=perhaps"],
            "--config.model.pre_norm=perhaps: config.model.pre_norm should be of type bool, "
            "as True is",
        ),
        (
            ["--config=config.py", "--config.model=3"],
            "--config.model=3: config.model is a section, with dropout, num_layers, pre_norm: "
            "set one of those",
        ),
        (["--config=nowhere.py"], "--config: nowhere.py cannot be read: expected a config module"),
        (["--config=config.py:large"], "no such size: 'large'"),
        (["--confg=config.py"], "Unknown command line flag 'confg'. Did you mean: config ?"),
        ([], "flag --config=None: Flag --config must have a value other than None."),
        (
            ["--config=config.py", "--config.name=unprepared"],
            "not prepared: run python -m launch.prepare --config=config.py --x=1",
        ),
    ],
)
def test_a_mistake_ends_in_one_line(program, arguments, message):
    code, _, error = program(*arguments)
    assert (code, error) == (1, f"error: {message}\n")


def test_a_bug_keeps_its_trace(program):
    code, _, error = program("--config=config.py", "--config.name=bug")
    assert code == 1
    assert "Traceback" in error
    assert "a bug of ours" in error
