"""Learn from speech that nobody transcribed; configs/finetune.py makes a recogniser of it.

    python -m launch.prepare --config=configs/pretrain.py:bestrq --source=../shared/data
    python -m launch.train   --config=configs/pretrain.py:bestrq --workdir=runs/bestrq

configs/finetune.py makes a recogniser of it, in runs/fine say, whose layers are worth predicting:
the same encoder goes on with clusters of their frames, and is fine-tuned anew, from runs/hubert.

    python -m launch.prepare --config=configs/pretrain.py:hubert,again --source=../shared/data \\
                             --config.clusters.workdir=runs/fine
    python -m launch.train   --config=configs/pretrain.py:hubert,again --workdir=runs/hubert \\
                             --config.clusters.workdir=runs/fine --config.init.workdir=runs/bestrq

Arguments: contrastive, bestrq, hubert or data2vec, what is predicted of masked frames (bestrq if
none is given; hubert: its clusters are found by launch.prepare too); again (with hubert, of another
training's layer); spoken (the embedded corpus instead of the packs, with no --source); waveform
(instead of log-mel features, with contrastive or data2vec; for a GPU); smoke (a minute on two
cores).
"""

from ml_collections import ConfigDict

from configs.defaults import (
    get_defaults,
    hear_waveforms,
    make_smoke,
    one_of,
    parse_argument,
    use_muon,
)
from configs.models import masked_conformer
from configs.quickstart import FEW_SENTENCES
from jasr.errors import UserError

# Folders of --source; all are read for their audio alone.
PACKS = ("an4", "speechocean762", "librispeech_unlabelled", "barista", "fsdd")


def get_config(arg: str = "bestrq") -> ConfigDict:
    words = parse_argument(arg, (*OBJECTIVES, "again", "spoken", "waveform", "smoke"))
    chosen = one_of(words, OBJECTIVES, "bestrq")
    config = get_defaults()
    if "spoken" in words:
        config.corpus.update({"kind": "spoken", "name": "spoken"})
    else:
        config.corpus.update({"kind": "mixture", "name": "packs"})
        for pack in PACKS:
            config.corpus.parts[pack] = ConfigDict({"kind": "manifest"})
        # The smallest but one, and the one that is to be recognised.
        config.corpus.parts.an4.passes = 3
        config.splits.train = "train+unlabelled"
    config.model = masked_conformer(num_layers=4, embed_dim=144)
    config.data.update({"batch_seconds": 30.0, "num_buckets": 6, "max_seconds": 12.0})
    use_muon(config)
    config.optimizer.weight_decay = 0.05
    config.train.update({"num_steps": 9000, "evaluate_every": 1000, "checkpoint_every": 1000})
    config.train.best_by = "loss"
    config.evaluators = ConfigDict(
        {
            "objective": {"name": "objective"},
            "probe": {"name": "probe", "corpus": {"name": "an4"}, "train": "train[:20%]"},
        }
    )
    if "spoken" in words:
        config.evaluators.probe.corpus = ConfigDict({"kind": "spoken", "name": "spoken"})
        config.evaluators.probe.train = "train[:4%]"
    OBJECTIVES[chosen](config)
    if "again" in words:
        if chosen != "hubert":
            raise UserError(f"config argument 'again': {chosen} has no clusters; give hubert")
        config.clusters.update({"num_clusters": 200, "by": "layer", "checkpoint": "best"})
        # A head of other clusters, if there is one, is of no use.
        config.init.rename["^heads_"] = "elsewhere/"
        config.init.new = config.init.left = ("^heads_",)
        config.train.num_steps = 2000
    if "waveform" in words:
        if chosen not in ("contrastive", "data2vec"):
            raise UserError(
                f"config argument 'waveform': {chosen} predicts what is found in log-mel "
                f"features, whose frames are others; give contrastive or data2vec"
            )
        hear_waveforms(config)
        # Frames of 20 ms, twice as many.
        config.model.span_mask.update({"start_probability": 0.065, "span_length": 10})
        config.model.mask_features = False
    if "smoke" in words:
        make_smoke(config)
        if "spoken" in words:
            config.corpus.options = ConfigDict(FEW_SENTENCES)
            config.evaluators.probe.corpus.options = ConfigDict(FEW_SENTENCES)
            config.evaluators.probe.train = "train"
        config.evaluators.probe.num_steps = 5
    if "again" in words:
        # The last layer of a recogniser knows characters alone.
        config.clusters.layer = config.model.encoder.num_layers - 1
    return config


def _bestrq(config: ConfigDict) -> None:
    config.model.heads.best_rq = ConfigDict(
        {"name": "best_rq", "num_codebooks": 8, "num_codes": 256}
    )
    config.objective = ConfigDict(
        {"masked_prediction": {"name": "masked_prediction", "head": "best_rq"}}
    )


def _hubert(config: ConfigDict) -> None:
    config.model.heads.units = ConfigDict({"name": "units"})
    config.clusters = ConfigDict(
        {
            "num_clusters": 100,
            "by": "cepstra",
            "workdir": "",
            "checkpoint": "last",
            "layer": 0,
        }
    )
    config.objective = ConfigDict(
        {"masked_prediction": {"name": "masked_prediction", "head": "units"}}
    )


def _contrastive(config: ConfigDict) -> None:
    config.model.heads.contrastive = ConfigDict(
        # Down to the final temperature within the run.
        {"name": "contrastive", "num_distractors": 50, "decay": 0.9995}
    )
    config.objective = ConfigDict(
        {
            "contrastive": {"name": "contrastive", "head": "contrastive"},
            "code_diversity": {"name": "code_diversity", "head": "contrastive", "weight": 0.1},
        }
    )


def _data2vec(config: ConfigDict) -> None:
    config.model.heads.data2vec = ConfigDict({"name": "data2vec", "top_layers": 3})
    config.optimizer.average = ConfigDict(
        {"decay": 0.99, "final_decay": 0.999, "decay_steps": 3000}
    )
    config.objective = ConfigDict(
        {"masked_regression": {"name": "masked_regression", "head": "data2vec"}}
    )


OBJECTIVES = {
    "bestrq": _bestrq,
    "contrastive": _contrastive,
    "data2vec": _data2vec,
    "hubert": _hubert,
}
