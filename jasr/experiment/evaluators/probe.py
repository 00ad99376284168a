"""What the frames of an encoder know of characters."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jasr.corpora.catalogue import open_corpus
from jasr.errors import UserError
from jasr.experiment.evaluators.linear_probe import CTCProbe, Frames
from jasr.experiment.evaluators.run import Figures, Run
from jasr.tasks.targets import Transcripts
from jasr.text.normalizer import normalizer
from jasr.text.tokenizer import train_tokenizer
from jasr.training.state import TrainState


@dataclasses.dataclass(frozen=True)
class Probe:
    """How well characters can be read off the frames by one linear layer: "probe_cer".

    A linear CTC head is trained on what the frozen encoder makes of some transcribed speech.

    corpus:         a corpus section of its own, prepared.
    layer:          whose output is probed, counted from 1; 0: the encoder's own.
    train, test:    splits to learn from and to score, or first parts of them.
    num_steps:      of Adam, over all of them at once.
    """

    corpus: Mapping[str, Any]
    train: str = "train"
    test: str = "validation"
    layer: int = 0
    num_steps: int = 200
    learning_rate: float = 0.02

    def names(self, config: Mapping[str, Any]) -> Iterable[str]:
        del config
        return ("probe_cer",)

    def prepare(self, run: Run) -> Callable[[TrainState], Figures]:
        config = run.meta.config
        layers = getattr(getattr(run.model, "encoder", None), "num_layers", 0)
        if not hasattr(run.model, "log_mel") or not 0 <= self.layer <= layers:
            raise UserError(
                f"evaluator 'probe': config.model is a {config['model']['name']} with an encoder "
                f"of {layers} layers; expected one that hears speech, and layer between 0 and that"
            )
        rate = config["corpus"]["sample_rate"]
        section = {"kind": "manifest", "options": {}, "parts": {}, "sample_rate": rate}
        splits = [
            open_corpus({**section, **self.corpus}, split, run.data_dir)
            for split in (self.train, self.test)
        ]
        normalize = normalizer(config["text"]["normalizer"])
        texts = [normalize(u.text) for split in splits for u in split.utterances if u.text]
        tokenizer = train_tokenizer("character", texts, vocab_size=0)
        targets = Transcripts(tokenizer, normalize)
        frames = Frames(run.model, run.placement, self.layer)
        probe = CTCProbe(tokenizer, num_steps=self.num_steps, learning_rate=self.learning_rate)

        def evaluate(state: TrainState) -> Figures:
            train, test = (
                frames.of(run.params_of(state), corpus, targets, config) for corpus in splits
            )
            return {"probe_cer": probe.error_rate(train, test)}

        return evaluate
