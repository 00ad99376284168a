"""How fast audio is loaded, and how much of it is padding.

    python -m benchmarks.pipeline --config=configs/fsdd.py --data_dir=DATA_DIR
    python -m benchmarks.pipeline --config=configs/fsdd.py --manifest=../shared/data/fsdd

Prints audio seconds loaded per second with each number of workers, as medians over rounds that
alternate between the numbers; the time the workers take to start is not counted.
"""

import statistics
import time
from collections.abc import Sequence

from absl import app, flags
from ml_collections import config_flags

from jasr.corpora.catalogue import open_corpus
from jasr.corpora.corpus import Corpus
from jasr.corpora.manifest_file import ManifestCorpus
from jasr.experiment.training_data import open_augment
from jasr.pipeline.loader import load_batches
from jasr.pipeline.plan import TrainPlan
from jasr.pipeline.usable import select_usable
from jasr.tasks.targets import Transcripts
from jasr.text.normalizer import normalizer
from jasr.text.tokenizer import train_tokenizer

_CONFIG = config_flags.DEFINE_config_file("config", None, "Config module, MODULE.py[:ARG].")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where the corpus is prepared.")
_MANIFEST = flags.DEFINE_string("manifest", None, "Read this manifest's own files instead.")
_SPLIT = flags.DEFINE_string("split", "train", "Split to load.")
_STEPS = flags.DEFINE_integer("steps", 80, "Batches to measure in a round.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Rounds to take the median of.", lower_bound=1)
_WORKERS = flags.DEFINE_multi_integer("workers", [0, 1, 2], "Numbers of worker processes.")
flags.mark_flag_as_required("config")

# Enough for every worker to have started and delivered.
WARM_UP_STEPS = 8


def main(argv: Sequence[str]) -> None:
    """Measures and prints the table."""
    if argv[1:]:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    config = _CONFIG.value
    corpus = _open()
    normalize = normalizer(config.text.normalizer)
    tokenizer = train_tokenizer(
        config.text.tokenizer,
        [normalize(utterance.text) for utterance in corpus.utterances if utterance.text],
        vocab_size=config.text.vocab_size,
    )
    targets = Transcripts(tokenizer, normalize)
    augment = open_augment(config.to_dict(), _DATA_DIR.value)
    plan = TrainPlan(
        select_usable(
            corpus,
            targets,
            min_seconds=config.data.min_seconds,
            max_seconds=config.data.max_seconds,
            max_tokens=config.data.max_tokens,
        ),
        seed=config.seed,
        batch_seconds=config.data.batch_seconds,
        num_buckets=config.data.num_buckets,
        speeds=augment.speeds,
    )

    def audio_seconds_per_second(num_workers: int) -> float:
        batches = load_batches(
            corpus,
            plan,
            targets,
            start_step=0,
            stop_step=WARM_UP_STEPS + _STEPS.value,
            num_workers=num_workers,
            augment=augment,
        )
        for _ in range(WARM_UP_STEPS):
            next(batches)
        start = time.perf_counter()
        loaded = sum(batch.audio_seconds for batch in batches)
        return loaded / (time.perf_counter() - start)

    rates: dict[int, list[float]] = {workers: [] for workers in _WORKERS.value}
    for _ in range(_ROUNDS.value):
        for workers, measured in rates.items():
            measured.append(audio_seconds_per_second(workers))
    _print_table(corpus, plan, rates)


def _open() -> Corpus:
    if _MANIFEST.value is not None:
        return ManifestCorpus(_MANIFEST.value, _CONFIG.value.corpus.sample_rate, split=_SPLIT.value)
    return open_corpus(_CONFIG.value.corpus, _SPLIT.value, _DATA_DIR.value)


def _print_table(corpus: Corpus, plan: TrainPlan, rates: dict[int, list[float]]) -> None:
    epoch = [plan[step] for step in range(round(plan.batches_per_epoch))]
    real = sum(int(planned.num_samples.sum()) for planned in epoch)
    whole = sum(planned.bucket.batch_size * planned.bucket.num_samples for planned in epoch)
    rate = corpus.sample_rate
    print(f"{corpus.name} {corpus.split}: {len(plan.selection)} utterances, {len(epoch)} batches")
    print(f"padding over an epoch: {1 - real / whole:.1%}, in {len(plan.buckets)} shapes")
    for bucket in plan.buckets:
        print(f"  {bucket.batch_size:5d} x {bucket.num_samples / rate:5.2f} s")
    print("workers   audio s / s")
    for workers, measured in rates.items():
        print(f"{workers:7d}   {statistics.median(measured):11.0f}")


if __name__ == "__main__":
    app.run(main)
