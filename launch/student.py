"""Make a small model of a trained one's layers and units: what a student begins as.

python -m launch.student --workdir=runs/teacher --config=configs/distil.py:logits,small \
                         --output=runs/student
python -m launch.train   --config=configs/distil.py:logits,small --workdir=runs/small \
                         --config.teacher.workdir=runs/teacher --config.init.workdir=runs/student
"""

from absl import flags
from ml_collections import config_flags

from launch.main import run

_CONFIG = config_flags.DEFINE_config_file("config", None, "Of the student, MODULE.py[:ARG].")
_WORKDIR = flags.DEFINE_string("workdir", None, "Where the teacher was trained.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "The workdir to write.", required=True)
_CHECKPOINT = flags.DEFINE_string("checkpoint", "best", "'best', 'last' or a step.")
_LAYERS = flags.DEFINE_string(
    "layers",
    "uniform",
    "Of the teacher's encoder: uniform, first, last, or numbers such as 1,3,6.",
)
_DECODER_LAYERS = flags.DEFINE_string("decoder_layers", "uniform", "The same, of its decoder.")
_UNITS = flags.DEFINE_string("units", "select", "Where it is narrower: select or average.")
flags.mark_flag_as_required("config")


def main(_) -> None:
    from jasr.experiment.student import make_student

    print(
        make_student(
            _WORKDIR.value,
            _CONFIG.value,
            _OUTPUT.value,
            checkpoint=_CHECKPOINT.value,
            layers=_LAYERS.value,
            decoder_layers=_DECODER_LAYERS.value,
            units=_UNITS.value,
        )
    )


if __name__ == "__main__":
    run(main)
