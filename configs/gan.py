"""Learn to recognise from speech and text that do not belong together, by wav2vec-U's GAN.

    python -m launch.prepare --config=configs/pretrain.py:bestrq,spoken
    python -m launch.train   --config=configs/pretrain.py:bestrq,spoken --workdir=runs/spoken
    python -m launch.prepare --config=configs/gan.py --config.clusters.workdir=runs/spoken
    python -m launch.train   --config=configs/gan.py --config.clusters.workdir=runs/spoken \\
                             --workdir=runs/gan
    python -m launch.train   --config=configs/gan.py:finetune --config.init.workdir=runs/gan \\
                             --config.clusters.workdir=runs/spoken --workdir=runs/gan-fine

It hears the first half of the embedded corpus, as a layer of an encoder does that was pretrained on
recordings alone, and reads the phonemes of the other half: no recording is ever seen with its own
text. Fine-tuned, its generator learns by CTC from the first hundredth of the recordings with their
own text. Arguments: letters (instead of phonemes); cepstra (instead of a layer, with no
config.clusters.workdir); finetune; scratch (with finetune: no parameter learned before); smoke
(with cepstra, a minute on two cores).
"""

from ml_collections import ConfigDict

from configs import quickstart
from configs.defaults import get_defaults, parse_argument


def get_config(arg: str = "") -> ConfigDict:
    words = parse_argument(arg, ("letters", "cepstra", "finetune", "scratch", "smoke"))
    config = get_defaults()
    spoken = quickstart.get_config("ctc,smoke" if "smoke" in words else "ctc")
    config.corpus = spoken.corpus
    if "letters" not in words:
        config.corpus.options.transcript = "phonemes"
    config.splits.train = "train[:50%]"
    config.unpaired_text = ConfigDict({"corpus": spoken.corpus, "split": "train[50%:]"})
    config.model = ConfigDict(
        {
            "name": "adversarial_speech",
            "dtype": "float32",
            # What cepstra are made of, and how many frames to a segment's frame.
            "log_mel": spoken.model.log_mel,
            "encoder": {"stem": "conv2d_4x"},
            # Of recordings with pauses, 0.25 and True: these have none.
            "keep_silence": 0.0,
            "silent_ends": False,
            "generator": {"width": 5, "dropout": 0.1},
            "discriminator": {"dim": 256, "width": 6, "depth": 2},
        }
    )
    config.clusters = ConfigDict({"num_clusters": 64, "by": "layer", "workdir": "", "layer": 3})
    if {"cepstra", "smoke"} & set(words):
        config.clusters.update({"by": "cepstra", "layer": 0})
    # The same for a fine-tuning, which hears less.
    config.clusters.split = "train[:50%]"
    config.objective = ConfigDict(
        {
            "generator": {"name": "generator"},
            "discriminator": {"name": "discriminator"},
            "gradient_penalty": {
                "name": "mean_output",
                "output": "gradient_penalty",
                "weight": 1.5,
            },
            "smoothness": {"name": "mean_output", "output": "smooth", "weight": 0.5},
            "diversity": {"name": "unit_diversity", "weight": 3.0},
        }
    )
    config.optimizer.update({"beta1": 0.5, "beta2": 0.98, "weight_decay": 0.0, "clip_norm": 5.0})
    config.optimizer.no_weight_decay = ("bias$",)
    config.optimizer.learning_rate.update({"peak": 4e-4, "schedule": "constant"})
    config.optimizer.groups.discriminator = ConfigDict(
        {
            "parameters": "^discriminator/",
            "weight_decay": 1e-4,
            "learning_rate": {"peak": 5e-4},
        }
    )
    config.evaluators = ConfigDict({"unsupervised": {"name": "unsupervised"}})
    config.data.update({"batch_seconds": 60.0, "num_buckets": 2})
    config.train.update({"num_steps": 5000, "evaluate_every": 500, "checkpoint_every": 500})
    # What can be known without transcripts.
    config.train.best_by = "bigram_divergence"
    if "finetune" in words:
        _finetune(config)
        if "scratch" in words:
            config.init.rename["^"] = "elsewhere/"
            config.init.new, config.init.left = ("",), ("",)
    if "smoke" in words:
        config.data.update({"batch_seconds": 30.0, "num_buckets": 1})
        config.evaluation.update({"batch_seconds": 32.0, "num_buckets": 1})
        config.clusters.num_clusters = 8
        config.train.update({"num_steps": 8, "log_every": 2, "evaluate_every": 4})
    return config


def _finetune(config: ConfigDict) -> None:
    config.splits.train = "train[:1%]"
    config.text.tokenizer, config.init.checkpoint = "init", "best"
    config.unpaired_text = ConfigDict()
    # Not of what is joined: where one unit is likeliest throughout, nothing would be left to align.
    config.objective = ConfigDict({"ctc": {"name": "ctc", "output": "segments"}})
    config.optimizer.groups = ConfigDict()
    config.optimizer.frozen = ("^discriminator/",)
    config.optimizer.learning_rate.update({"peak": 2e-3, "schedule": "cosine"})
    config.data.batch_seconds = 30.0
    config.train.update({"num_steps": 1000, "evaluate_every": 250, "checkpoint_every": 250})
    config.train.best_by = "unit_error_rate"
