"""What learning without transcripts is worth: each objective, each share of transcripts, each seed.

    python -m launch.prepare --config=configs/pretrain.py:hubert --source=../shared/data \\
                             --data_dir=data
    python -m benchmarks.without_transcripts --runs=runs/without --seeds=0,1,2

Pretrains by configs/pretrain.py and fine-tunes by configs/finetune.py. For the objectives of
--again the recogniser labels the recordings without transcripts, held to the words of the others,
and goes on with the surest of them, once for each share of --surest; not with 100 per cent, where
there are none. With --exchanged it goes on from there in longer rounds, with what the recogniser of
the next seed heard in place of its own. Trains from scratch on the same transcripts with the same
compute, as many seconds of audio as all of these saw together, other seeds' apart. Prints a table
of the test split's error rates: of the likeliest characters, and held to the words of the
transcripts that were learned from. Each run's best checkpoint on validation is scored.
--corpus=spoken does it on the embedded corpus, which needs no --source.
"""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

from absl import app, flags

from benchmarks.runs import DATA, TEST, Run, carry_out, last_figure, scores
from benchmarks.tables import markdown, spread
from configs import finetune, pretrain

FLAGS = flags.FLAGS
flags.DEFINE_string("runs", "runs/without_transcripts", "Where the trainings' folders lie.")
STARTS = ("scratch", *pretrain.OBJECTIVES)
# By labels of one who makes other errors, longer rounds go on helping.
EXCHANGED_STEPS = 1000
flags.DEFINE_list("starts", ",".join(STARTS), "Objectives of configs/pretrain.py, or scratch.")
flags.DEFINE_list("percent", "10,100", "Shares of the transcripts: 1, 10, 100.")
flags.DEFINE_list("again", "bestrq", "Objectives whose recognisers teach themselves.")
flags.DEFINE_list("surest", ["0.6"] * 6 + ["0.75"] * 4, "Of what share of labels, each round.")
flags.DEFINE_list("exchanged", [], "Of what share of the next seed's labels, each round after.")
flags.DEFINE_enum("corpus", "packs", ["packs", "spoken"], "What is learned from.")


def pretraining(objective: str, seed: str, corpus: str) -> Run:
    """Of the training audio alone."""
    return Run(
        f"{corpus}-{objective}-{seed}",
        f"configs/pretrain.py:{_argument(objective, corpus)}",
        (f"--config.seed={seed}",),
        # Its clusters depend on the seed.
        first=(("launch.prepare", DATA),) if objective == "hubert" else (),
        scores=(),
    )


def fine_tuning(name: str, start: Run, percent: str, seed: str, corpus: str) -> Run:
    """Of what a pretraining has learned."""
    return Run(
        name,
        f"configs/finetune.py:{_argument(percent, corpus)}",
        (f"--config.seed={seed}", "--config.init.workdir={runs}/" + start.name),
        after=(start.name,),
        first=(_write_words(percent, corpus),),
        scores=_scores(percent, corpus),
    )


def self_training(
    name: str, start: Run, heard: Run, surest: str, percent: str, seed: str, corpus: str, *more: str
) -> Run:
    """On from a recogniser, with what it or another hears where there are no transcripts.

    more: flags of the training.
    """
    labels = "{runs}/" + f"{heard.name}.heard.jsonl"
    return Run(
        name,
        f"configs/finetune.py:{_argument(percent, corpus)},self_training",
        (
            f"--config.seed={seed}",
            "--config.init.workdir={runs}/" + start.name,
            f"--config.labels.path={labels}",
            f"--config.labels.surest={surest}",
            *more,
        ),
        after=(start.name, heard.name),
        first=(
            (
                *("launch.label", DATA, "--workdir={runs}/" + heard.name, f"--output={labels}"),
                _of_words(percent, corpus),
            ),
        ),
        scores=_scores(percent, corpus),
    )


def from_scratch(percent: str, seed: str, corpus: str) -> Run:
    """With as much compute as all of them together."""
    tuned = finetune.get_config(percent)
    configs = [pretrain.get_config("bestrq"), tuned]
    steps = 0
    if percent != "100" and FLAGS.again:
        configs += [finetune.get_config(f"{percent},self_training")] * len(FLAGS.surest)
        steps = EXCHANGED_STEPS * len(FLAGS.exchanged)
    seconds = sum(config.train.num_steps * config.data.batch_seconds for config in configs)
    steps += round(seconds / tuned.data.batch_seconds)
    return Run(
        f"{_scratch(corpus, seed)}-{percent}",
        f"configs/finetune.py:{_argument(percent, corpus)},scratch",
        (f"--config.seed={seed}", f"--config.train.num_steps={steps}"),
        first=(_write_words(percent, corpus),),
        scores=_scores(percent, corpus),
    )


def _scratch(corpus: str, seed: str) -> str:
    """With more rounds it trains for longer."""
    return f"{corpus}-scratch-{len(_rounds())}-rounds-{seed}"


def _rounds() -> list[str]:
    """Endings of their names, in order."""
    own = [f"again-{turn}" for turn, _ in enumerate(FLAGS.surest, 1)]
    others = [f"exchanged-{turn}" for turn, _ in enumerate(FLAGS.exchanged, 1)]
    return own + others if FLAGS.again else []


def _write_words(percent: str, corpus: str) -> tuple[str, ...]:
    return ("launch.words", DATA, f"--output={_words(percent, corpus)}")


def _scores(percent: str, corpus: str) -> tuple[tuple[str, ...], ...]:
    return (TEST, (*TEST, _of_words(percent, corpus)))


def _of_words(percent: str, corpus: str) -> str:
    return f"--decoding=ctc_beam:lexicon={_words(percent, corpus)}"


def _words(percent: str, corpus: str) -> str:
    """Those of the transcripts that are learned from."""
    return "{runs}/" + f"{corpus}-{percent}.words.txt"


def _argument(word: str, corpus: str) -> str:
    return f"{word},spoken" if corpus == "spoken" else word


def experiment() -> Iterator[Run]:
    corpus = FLAGS.corpus
    lines: dict[tuple[str, str], dict[str, list[Run]]] = {}
    for seed, start in itertools.product(FLAGS.seeds, FLAGS.starts):
        if start == "scratch":
            yield from (from_scratch(percent, seed, corpus) for percent in FLAGS.percent)
        else:
            before = pretraining(start, seed, corpus)
            yield before
            for percent in FLAGS.percent:
                tuned = fine_tuning(f"{before.name}-{percent}", before, percent, seed, corpus)
                yield tuned
                if start in FLAGS.again and percent != "100":
                    line = [tuned, *again(tuned, percent, seed, corpus)]
                    lines.setdefault((start, percent), {})[seed] = line
                    yield from line[1:]
    for (_, percent), of_seeds in lines.items():
        yield from exchanged(of_seeds, percent, corpus)


def again(tuned: Run, percent: str, seed: str, corpus: str) -> Iterator[Run]:
    """What a recogniser teaches itself, round after round."""
    last = tuned
    for turn, surest in enumerate(FLAGS.surest, 1):
        name = f"{tuned.name}-again-{turn}"
        last = self_training(name, last, last, surest, percent, seed, corpus)
        yield last


def exchanged(lines: Mapping[str, list[Run]], percent: str, corpus: str) -> Iterator[Run]:
    """What the recognisers of all seeds teach each other, each the one before it."""
    seeds = list(lines)
    last = {seed: line[-1] for seed, line in lines.items()}
    longer = f"--config.train.num_steps={EXCHANGED_STEPS}"
    for turn, surest in enumerate(FLAGS.exchanged, 1):
        made = {}
        for seed, other in zip(seeds, [*seeds[1:], seeds[0]], strict=True):
            name = f"{lines[seed][0].name}-exchanged-{turn}"
            made[seed] = self_training(
                name, last[seed], last[other], surest, percent, seed, corpus, longer
            )
        yield from made.values()
        last = made


def table(runs: Path) -> str:
    rows = {}
    for start in FLAGS.starts:
        names = [
            _scratch(FLAGS.corpus, seed) if start == "scratch" else f"{FLAGS.corpus}-{start}-{seed}"
            for seed in FLAGS.seeds
        ]
        probed = spread([last_figure(runs, name, "validation/probe_cer") for name in names])
        rows[start] = [probed, *_errors(runs, names, "")]
        for ending in _rounds() if start in FLAGS.again else ():
            rows[f"{start}, {ending}"] = ["-", *_errors(runs, names, f"-{ending}")]
    header = ["start", "probe, characters"]
    for percent in FLAGS.percent:
        header += [f"{percent} %: words", "characters", "words, of a lexicon"]
    return markdown(header, rows)


def _errors(runs: Path, names: list[str], suffix: str) -> Iterator[str]:
    for percent in FLAGS.percent:
        held = f"test-ctc_beam-lexicon={FLAGS.corpus}-{percent}.words.txt-*"
        for split, figure in (("test", "wer"), ("test", "cer"), (held, "wer")):
            scored = [scores(runs, f"{name}-{percent}{suffix}", split) or {} for name in names]
            yield spread([one.get(figure) for one in scored])


def main(_) -> None:
    carry_out(experiment(), table, runs=FLAGS.runs)


if __name__ == "__main__":
    app.run(main)
