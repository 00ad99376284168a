"""What learning a language from text alone is worth to a recogniser's decoder.

    python -m launch.prepare --config=configs/finetune.py:decoder,spoken,10
    python -m benchmarks.decoder_from_text --runs=runs/from_text --seeds=0,1,2

The language is the transcripts of the last nine tenths of the embedded corpus, whose recordings
are not heard; the recogniser learns from the first tenth, once from the language model's decoder,
and once from nothing with the same tokens. Prints perplexities and the test split's error rates.
"""

import math
from collections.abc import Iterator
from pathlib import Path

from absl import app, flags

from benchmarks.runs import Run, carry_out, last_figure, scores
from benchmarks.tables import markdown, spread
from configs import finetune
from jasr.corpora.catalogue import open_corpus

FLAGS = flags.FLAGS
flags.DEFINE_string("runs", "runs/decoder_from_text", "Where the trainings' folders lie.")

STEPS = 2000
LOSS = "validation/loss/cross_entropy"


def write_text(folder: Path) -> None:
    """The transcripts, as files that a training on text reads."""
    section = finetune.get_config("decoder,spoken,10").corpus
    folder.mkdir(parents=True, exist_ok=True)
    for name, split in (("train", "train[10%:]"), ("validation", "validation")):
        corpus = open_corpus(section, split, FLAGS.data_dir)
        lines = (f"{utterance.text}\n" for utterance in corpus.utterances)
        (folder / f"{name}.txt").write_text("".join(lines))


def experiment() -> Iterator[Run]:
    for seed in FLAGS.seeds:
        flags = (f"--config.seed={seed}",)
        text = (*flags, "--config.corpus.options.path={runs}/text")
        # As far as one step can be from knowing nothing.
        for name, steps in ((f"start-{seed}", 1), (f"language-{seed}", STEPS)):
            steps_flag = f"--config.train.num_steps={steps}"
            yield Run(name, "configs/text.py:causal", (*text, steps_flag), scores=())
        start = f"language-{seed}"
        workdir = "--config.init.workdir={runs}/" + start
        for name, argument in ((f"with-{seed}", ""), (f"without-{seed}", ",scratch")):
            config = f"configs/finetune.py:decoder,spoken,10{argument}"
            yield Run(name, config, (*flags, workdir), after=(start,))


def table(runs: Path) -> str:
    def of_seeds(name: str) -> list[str]:
        return [f"{name}-{seed}" for seed in FLAGS.seeds]

    rows = {}
    for title, name in (("before", "start"), ("after", "language")):
        losses = [last_figure(runs, run, LOSS) for run in of_seeds(name)]
        each = [f"{math.exp(loss):.2f}" for loss in losses if loss is not None]
        rows[f"perplexity of a token {title} learning from text"] = [", ".join(each), ""]
    for name in ("with", "without"):
        scored = [scores(runs, run) or {} for run in of_seeds(name)]
        rows[f"recogniser {name} it"] = [
            spread([one.get(figure) for one in scored]) for figure in ("wer", "cer")
        ]
    return markdown(["", "words", "characters"], rows)


def main(_) -> None:
    write_text(Path(FLAGS.runs) / "text")
    carry_out(experiment(), table, runs=FLAGS.runs)


if __name__ == "__main__":
    app.run(main)
