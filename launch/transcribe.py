"""Write down what is said in recordings of any format.

python -m launch.transcribe --workdir=runs/fsdd a.wav b.flac c.mp3
"""

from collections.abc import Sequence

from absl import flags

from launch.huge_pages import use_huge_pages
from launch.main import run

_WORKDIR = flags.DEFINE_string("workdir", None, "Where the recogniser was trained.", required=True)
_CHECKPOINT = flags.DEFINE_string("checkpoint", "best", "'best', 'last' or a step.")
_DECODING = flags.DEFINE_string(
    "decoding", None, "Another search, NAME[:KEY=VALUE,...]: attention_beam:beam_size=8"
)


def main(arguments: Sequence[str]) -> None:
    from jasr.experiment.evaluate import transcribe_files

    transcripts = transcribe_files(
        _WORKDIR.value,
        arguments[1:],
        checkpoint=_CHECKPOINT.value,
        decoding=_DECODING.value,
    )
    for path, text in transcripts:
        print(f"{path}\t{text}")


if __name__ == "__main__":
    use_huge_pages()
    run(main)
