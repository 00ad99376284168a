"""Write down what teachers make of a training's recordings, so that they are not run again.

python -m launch.teach --config=configs/distil.py:all,tiny --config.teacher.workdir=runs/teacher \
                       --output=runs/lessons
python -m launch.train --config=configs/distil.py:all,tiny --config.teacher.workdir=runs/teacher \
                       --config.teacher.lessons=runs/lessons --workdir=runs/tiny
"""

from absl import flags
from ml_collections import config_flags

from launch.hosts import joined_hosts
from launch.huge_pages import use_huge_pages
from launch.main import run

_CONFIG = config_flags.DEFINE_config_file("config", None, "Of the student, MODULE.py[:ARG].")
_OUTPUT = flags.DEFINE_string("output", None, "The folder to write.", required=True)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where prepared corpora lie; TFDS's default.")
_TOP_K = flags.DEFINE_integer(
    "top_k", 0, "How many tokens to keep of each distribution; 0: all.", lower_bound=0
)
flags.mark_flag_as_required("config")


def main(_) -> None:
    from jasr.experiment.lessons import write_lessons_of

    with joined_hosts():
        write_lessons_of(
            _CONFIG.value.to_dict(),
            _OUTPUT.value,
            data_dir=_DATA_DIR.value,
            top_k=_TOP_K.value,
        )


if __name__ == "__main__":
    use_huge_pages()
    run(main)
