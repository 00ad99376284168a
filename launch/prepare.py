"""Prepare a corpus, and the clusters that a config predicts: once, before training on them.

    python -m launch.prepare --config=configs/quickstart.py
    python -m launch.prepare --config=configs/fsdd.py --source=../shared/data/fsdd

Done already, from the same source, it says so and does nothing.
"""

from absl import flags
from ml_collections import config_flags

from launch.main import run

_CONFIG = config_flags.DEFINE_config_file("config", None, "Config module, MODULE.py[:ARG].")
_SOURCE = flags.DEFINE_string("source", None, "What to prepare: a folder or a manifest.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where prepared corpora lie; TFDS's default.")
flags.mark_flag_as_required("config")


def main(_) -> None:
    from jasr.experiment.preparing import prepare_corpora

    config = _CONFIG.value.to_dict()
    for prepared in prepare_corpora(config, _SOURCE.value, _DATA_DIR.value):
        print(prepared.summary())
    if config.get("clusters"):
        from jasr.experiment.clusters import prepare_clusters

        print(prepare_clusters(config, _DATA_DIR.value))


if __name__ == "__main__":
    run(main)
