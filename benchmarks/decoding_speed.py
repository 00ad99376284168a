"""How many seconds of audio trained recognisers decode in a second, measured in turn.

    python -m benchmarks.decoding_speed --workdirs=runs/teacher,runs/tiny --weights=float32,int8

Reads a split once, then decodes all its batches a round, with nothing compiled and nothing read
from disk meanwhile. Prints medians over the rounds, and ratios to the first recogniser's.
"""

from collections.abc import Callable
from statistics import median

import jax
from absl import app, flags

from benchmarks.rounds import seconds_in_turn
from benchmarks.tables import markdown
from jasr.corpora.catalogue import open_corpus
from jasr.experiment.trained import load, with_weights
from jasr.models.int8 import kept_in

_WORKDIRS = flags.DEFINE_list("workdirs", None, "Of the recognisers.", required=True)
_WEIGHTS = flags.DEFINE_list("weights", ["float32"], "What their parameters are kept in.")
_SPLIT = flags.DEFINE_string("split", "test", "Of the corpus they were trained on.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where the corpus lies, if it has moved.")
_DECODING = flags.DEFINE_string("decoding", None, "Another search than config.decoding.")
_ROUNDS = flags.DEFINE_integer("rounds", 7, "Rounds to take the median of.", lower_bound=1)


def main(_) -> None:
    contenders: dict[str, Callable[[], object]] = {}
    bytes_of, audio_of = {}, {}
    for workdir in _WORKDIRS.value:
        recognition, params, _ = load(workdir, "best", _DECODING.value)
        data_dir = _DATA_DIR.value or recognition.meta.data_dir
        corpus = open_corpus(recognition.meta.config["corpus"], _SPLIT.value, data_dir)
        batches = [recognition.place(loaded.batch) for loaded in recognition.batches(corpus)]
        for weights in _WEIGHTS.value:
            kept = with_weights(recognition, params, weights)
            name = f"{workdir}, {weights}"
            audio_of[name] = sum(utterance.duration for utterance in corpus.utterances)
            bytes_of[name] = kept_in(kept)["parameter_bytes"]
            contenders[name] = lambda recognition=recognition, kept=kept, batches=batches: (
                jax.block_until_ready([recognition.decode(kept, batch) for batch in batches])
            )
    seconds = {
        name: median(found)
        for name, found in seconds_in_turn(contenders, rounds=_ROUNDS.value).items()
    }
    first = next(iter(seconds.values()))
    rows = {
        name: [
            f"{bytes_of[name] / 1e6:.1f}",
            f"{audio_of[name] / one:.0f}",
            f"{first / one:.2f}",
        ]
        for name, one in seconds.items()
    }
    print(f"{jax.devices()[0].device_kind}, {_ROUNDS.value} rounds")
    print(markdown(["model", "MB", "seconds of audio a second", "times the first"], rows))


if __name__ == "__main__":
    app.run(main)
