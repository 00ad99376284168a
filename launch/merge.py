"""Add a training's low-rank changes to what they change: a workdir that stands alone.

python -m launch.merge --workdir=runs/lora --output=runs/merged
"""

from absl import flags

from launch.main import run

_WORKDIR = flags.DEFINE_string("workdir", None, "Where config.lora was trained.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "The workdir to write.", required=True)
_CHECKPOINT = flags.DEFINE_string("checkpoint", "best", "'best', 'last' or a step.")


def main(_) -> None:
    from jasr.experiment.trained import merge_workdir

    print(merge_workdir(_WORKDIR.value, _OUTPUT.value, checkpoint=_CHECKPOINT.value))


if __name__ == "__main__":
    run(main)
