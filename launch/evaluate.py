"""Score a trained recogniser; the workdir holds all it needs.

python -m launch.evaluate --workdir=runs/fsdd --split=test
python -m launch.evaluate --workdir=runs/fsdd --manifest=my_recordings/manifest.jsonl --split=test
python -m launch.evaluate --workdir=runs/fsdd --decoding=ctc_beam:lexicon=my_words.txt

What it finds lies in WORKDIR/eval, in a folder called after the split or the manifest and whatever
of the search, noise and weights the flags say.
"""

from absl import flags

from launch.hosts import joined_hosts
from launch.huge_pages import use_huge_pages
from launch.main import run

_WORKDIR = flags.DEFINE_string("workdir", None, "Where the recogniser was trained.", required=True)
_SPLIT = flags.DEFINE_string(
    "split", None, "Of the corpus it was trained on (test), or of the manifest (all of them)."
)
_MANIFEST = flags.DEFINE_string("manifest", None, "Score these recordings instead.")
_CHECKPOINT = flags.DEFINE_string("checkpoint", "best", "'best', 'last' or a step.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where the corpus lies, if it has moved.")
_DECODING = flags.DEFINE_string(
    "decoding", None, "Another search, NAME[:KEY=VALUE,...]: ctc_beam:beam_size=8,lexicon=FILE"
)
_HEARD = flags.DEFINE_string(
    "heard", None, "For a model that reads transcripts: those in WORKDIR/eval/SPLIT/TASK.jsonl."
)
_NOISE_DB = flags.DEFINE_list(
    "noise_db", [], "Noise over the recordings, lowest and highest ratio to it in dB: 0,10"
)
_WEIGHTS = flags.DEFINE_string(
    "weights", "float32", "What the parameters are kept in: float32 or int8."
)


def main(_) -> None:
    from jasr.experiment.evaluate import evaluate_workdir

    with joined_hosts():
        evaluate_workdir(
            _WORKDIR.value,
            split=_SPLIT.value,
            manifest=_MANIFEST.value,
            checkpoint=_CHECKPOINT.value,
            data_dir=_DATA_DIR.value,
            decoding=_DECODING.value,
            heard=_HEARD.value,
            noise_db=_NOISE_DB.value,
            weights=_WEIGHTS.value,
        )


if __name__ == "__main__":
    use_huge_pages()
    run(main)
