"""Write down what a trained recogniser hears in recordings that nobody transcribed.

python -m launch.label --workdir=runs/teacher --config=configs/distil.py:sequence \
                       --decoding=attention_beam:num_hypotheses=4 --output=runs/labels.jsonl
python -m launch.train --config=configs/distil.py:sequence --config.labels.path=runs/labels.jsonl \
                       --workdir=runs/student
"""

from absl import flags
from ml_collections import config_flags

from launch.hosts import joined_hosts
from launch.huge_pages import use_huge_pages
from launch.main import run

_CONFIG = config_flags.DEFINE_config_file("config", None, "Of the student, MODULE.py[:ARG].")
_WORKDIR = flags.DEFINE_string("workdir", None, "Where the teacher was trained.", required=True)
_SECOND = flags.DEFINE_string("second", None, "Another teacher's, to see where the two agree.")
_OUTPUT = flags.DEFINE_string("output", None, "The file to write, JSON lines.", required=True)
_CHECKPOINT = flags.DEFINE_string("checkpoint", "best", "'best', 'last' or a step.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where prepared corpora lie; TFDS's default.")
_DECODING = flags.DEFINE_string(
    "decoding", None, "Another search, NAME[:KEY=VALUE,...]: attention_beam:num_hypotheses=4"
)
_SECOND_DECODING = flags.DEFINE_string("second_decoding", None, "The same, of the other teacher.")
flags.mark_flag_as_required("config")


def main(_) -> None:
    from jasr.experiment.label import label_split

    with joined_hosts():
        label_split(
            _WORKDIR.value,
            _CONFIG.value.to_dict(),
            _OUTPUT.value,
            checkpoint=_CHECKPOINT.value,
            data_dir=_DATA_DIR.value,
            decoding=_DECODING.value,
            second=_SECOND.value,
            second_decoding=_SECOND_DECODING.value,
        )


if __name__ == "__main__":
    use_huge_pages()
    run(main)
