"""Train a recogniser; the same command again goes on where it stopped.

python -m launch.train --config=configs/fsdd.py --workdir=runs/fsdd
"""

from absl import flags
from ml_collections import config_flags

from launch.hosts import joined_hosts
from launch.huge_pages import use_huge_pages
from launch.main import run

_CONFIG = config_flags.DEFINE_config_file("config", None, "Config module, MODULE.py[:ARG].")
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Where checkpoints, logs and reports go.", required=True
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where prepared corpora lie; TFDS's default.")
flags.mark_flag_as_required("config")


def main(_) -> None:
    from jasr.experiment.train import train_in

    with joined_hosts():
        train_in(_WORKDIR.value, _CONFIG.value, data_dir=_DATA_DIR.value)


if __name__ == "__main__":
    use_huge_pages()
    run(main)
