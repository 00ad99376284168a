"""Write down the words of a config's training transcripts, for a search that writes no others.

python -m launch.words    --config=configs/finetune.py:10 --output=runs/words.txt
python -m launch.evaluate --workdir=runs/fine --decoding=ctc_beam:lexicon=runs/words.txt

Any text does for a lexicon: every word in it may be written.
"""

from absl import flags
from ml_collections import config_flags

from launch.main import run

_CONFIG = config_flags.DEFINE_config_file("config", None, "Config module, MODULE.py[:ARG].")
_OUTPUT = flags.DEFINE_string("output", None, "The text file to write.", required=True)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where prepared corpora lie; TFDS's default.")
flags.mark_flag_as_required("config")


def main(_) -> None:
    from jasr.experiment.words import write_words

    print(write_words(_CONFIG.value.to_dict(), _OUTPUT.value, _DATA_DIR.value))


if __name__ == "__main__":
    run(main)
