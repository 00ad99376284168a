"""What is recognised by a model that never saw a recording with its text, and what that is worth.

    python -m benchmarks.unpaired --runs=runs/unpaired --seeds=0,1,2

Pretrains an encoder on recordings alone, trains by configs/gan.py, fine-tunes on a hundredth of the
recordings with their text, and trains on them from scratch. Prints the test split's error rates of
units, and chance: that of other utterances' texts. --units=letters has it read letters instead of
phonemes.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from absl import app, flags

from benchmarks.runs import DATA, Run, carry_out, scores
from benchmarks.tables import markdown, spread
from configs import gan
from jasr.corpora.catalogue import open_corpus
from jasr.text.error_counts import count_word_errors
from jasr.text.normalizer import normalizer, units_apart

FLAGS = flags.FLAGS
flags.DEFINE_string("runs", "runs/unpaired", "Where the trainings' folders lie.")
flags.DEFINE_enum("units", "phonemes", ["phonemes", "letters"], "What is learned to be written.")
flags.DEFINE_integer("num_steps", 5000, "Of each training without pairs.")


def experiment() -> Iterator[Run]:
    for seed in FLAGS.seeds:
        encoder, start = f"spoken-bestrq-{seed}", f"unpaired-{FLAGS.units}-{seed}"
        yield Run(
            encoder,
            "configs/pretrain.py:bestrq,spoken",
            (f"--config.seed={seed}",),
            first=(("launch.prepare", DATA),),
            scores=(),
        )
        own = (f"--config.seed={seed}", "--config.clusters.workdir={runs}/" + encoder)
        yield Run(
            start,
            _config(),
            (*own, f"--config.train.num_steps={FLAGS.num_steps}"),
            after=(encoder,),
            # Its clusters depend on the seed.
            first=(("launch.prepare", DATA),),
        )
        for name, argument in (("fine", "finetune"), ("scratch", "finetune,scratch")):
            yield Run(
                f"{name}-{FLAGS.units}-{seed}",
                _config(argument),
                (*own, "--config.init.workdir={runs}/" + start),
                after=(start,),
            )


def _config(*arguments: str) -> str:
    letters = ["letters"] if FLAGS.units == "letters" else []
    return f"configs/gan.py:{','.join([*letters, *arguments])}"


def chance(seed: int) -> float:
    """The unit error rate of the test split's own texts, each given to another recording."""
    config = gan.get_config("letters" if FLAGS.units == "letters" else "")
    normalize = normalizer(config.text.normalizer)
    utterances = open_corpus(config.corpus, "test", FLAGS.data_dir).utterances
    texts = [units_apart(normalize(one.text or "")) for one in utterances]
    order = np.random.default_rng(seed).permutation(len(texts))
    counts = [
        count_word_errors(texts[one], texts[other])
        for one, other in zip(order, np.roll(order, 1), strict=True)
    ]
    return sum(one.errors for one in counts) / sum(one.length for one in counts)


def table(runs: Path) -> str:
    rows = {"chance": [spread([chance(int(seed)) for seed in FLAGS.seeds])]}
    for title, name in (
        ("no pair ever seen", "unpaired"),
        ("then a hundredth of the pairs", "fine"),
        ("a hundredth of the pairs alone", "scratch"),
    ):
        found = [scores(runs, f"{name}-{FLAGS.units}-{seed}") or {} for seed in FLAGS.seeds]
        rows[title] = [spread([one.get("wer") for one in found])]
    return markdown(["learned from", f"{FLAGS.units} wrong"], rows)


def main(_) -> None:
    carry_out(experiment(), table, runs=FLAGS.runs)


if __name__ == "__main__":
    app.run(main)
