"""A trained model ready to recognise: parameters, search, and the compiled program of both."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
from flax import linen as nn

from jasr.corpora.corpus import Corpus
from jasr.decoding.hypotheses import Hypothesis
from jasr.decoding.lexicon import Lexicon
from jasr.decoding.methods import AttentionBeam, AttentionGreedy, CTCBeam, CTCGreedy
from jasr.errors import UserError
from jasr.evaluation.recognition import recognize
from jasr.experiment.clusters import predicted_clusters
from jasr.experiment.construct import construct_named
from jasr.experiment.data import build_targets, empty_batch, eval_plan
from jasr.experiment.model import build_model, build_recognizer, most_tokens
from jasr.experiment.tasks import tasks_of
from jasr.experiment.words import read_lexicon
from jasr.experiment.workdir import Meta
from jasr.models.adversarial.adversarial_speech import AdversarialSpeech
from jasr.models.int8 import dequantized
from jasr.pipeline.loader import LoadedBatch, load_all
from jasr.sharding.placement import Placement
from jasr.text.normalizer import normalizer, units_apart
from jasr.text.tokenizer import Tokenizer
from jasr.training.state import abstract_params, initializer
from jasr.types import Batch

METHODS = {
    "ctc_greedy": CTCGreedy,
    "ctc_beam": CTCBeam,
    "attention_greedy": AttentionGreedy,
    "attention_beam": AttentionBeam,
}


def build_decoding(
    config: Mapping[str, Any], meta: Meta, where: str = "config.decoding", *, lexicon: str = ""
) -> Any:
    """The search of a section, told the model's token ids and sample rate.

    where:   the section's place in the config.
    lexicon: a text file, whose words alone "ctc_beam" writes; "" for any.
    Raises UserError for a search that needs a head the model lacks.
    """
    tokenizer, model = meta.tokenizer, meta.config["model"]
    assert tokenizer is not None, "the recogniser was built with one"
    if config["name"] in ("ctc_greedy", "ctc_beam"):
        if not model.get("ctc", True):
            raise UserError(f"{where}.name {config['name']!r} needs a CTC head: config.model.ctc")
        given: dict[str, Any] = {"blank_id": tokenizer.blank_id}
        if config["name"] == "ctc_beam":
            given["lexicon"] = _lexicon(lexicon, meta, tokenizer)
    else:
        if not model.get("decoder"):
            raise UserError(
                f"{where}.name {config['name']!r} needs a decoder, and this model has only "
                f"a CTC head: use 'ctc_greedy'"
            )
        given = {
            "start_id": tokenizer.start_id,
            "end_id": tokenizer.end_id,
            "blank_id": tokenizer.blank_id,
            "sample_rate": meta.config["corpus"]["sample_rate"],
        }
        if (most := most_tokens(model)) is not None:
            given["max_tokens"] = most
    if lexicon and "lexicon" not in given:
        raise UserError(f"{config['name']!r} is not held to a lexicon: use 'ctc_beam'")
    return construct_named(METHODS, config, where, **given)


def _lexicon(path: str, meta: Meta, tokenizer: Tokenizer) -> Lexicon | None:
    if not path:
        return None
    return read_lexicon(path, tokenizer, meta.config["text"]["normalizer"])


@dataclasses.dataclass(frozen=True)
class Recognition:
    """Recognises the utterances of a corpus with given parameters.

    model:    a Recognizer, or an AdversarialSpeech, whose units are all that it knows of words.
    method:   of `jasr.decoding`.
    read:     its hypotheses, best first -> the answer, a text if nothing else.
    frozen:   collections that the model reads beside its parameters.
    searches: of tasks that have their own, by the task's name.
    name:     of the search, as reports show it.
    """

    meta: Meta
    model: Any
    placement: Placement
    method: Any
    read: Callable[[Sequence[Hypothesis]], Any]
    frozen: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    searches: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def build(
        cls, meta: Meta, placement: Placement, decoding: Mapping[str, Any] | None = None
    ) -> "Recognition":
        """For what a checkpoint's meta describes; `decoding` replaces config.decoding, and that of
        every task, and may name a lexicon: a workdir needs no other file."""
        config = meta.config["model"]
        search = dict(decoding or meta.config["decoding"])
        lexicon = search.pop("lexicon", "") if decoding else ""
        frozen: Mapping[str, Any] = {}
        if config["name"] == "adversarial_speech":
            clusters, frozen, _ = predicted_clusters(meta, meta.data_dir)
            model = build_model(config, meta.tokenizer, meta.statistics, clusters)
        else:
            model = build_recognizer(config, meta.tokenizer, meta.statistics, tasks_of(meta))
        return cls(
            meta=meta,
            model=model,
            placement=placement,
            method=build_decoding(search, meta, lexicon=lexicon),
            read=_read_text(meta),
            frozen=frozen,
            searches={} if decoding else _searches_of_tasks(meta),
        )

    @property
    def tokenizer(self) -> Tokenizer:
        assert self.meta.tokenizer is not None, "a recogniser was built with one"
        return self.meta.tokenizer

    @property
    def name(self) -> str:
        return self.method.name

    @property
    def scored(self) -> str:
        """What errors are counted of: "word", or "unit"."""
        return "unit" if isinstance(self.model, AdversarialSpeech) else "word"

    @property
    def normalize(self) -> Callable[[str], str]:
        """Of texts that are compared; units stand apart, as words do, and spaces are none."""
        normalize = normalizer(self.meta.config["text"]["normalizer"])
        if self.scored == "unit":
            return lambda text: units_apart(normalize(text))
        return normalize

    def variables(self, params: Any) -> dict[str, Any]:
        """All that the model is applied with."""
        return {"params": params, **self.frozen}

    def boxed_params(self) -> Any:
        """Shapes of the model's parameters, with their logical axes."""
        rate = self.meta.config["corpus"]["sample_rate"]
        batch = empty_batch(1, samples=rate, tokens=1, targets=build_targets(self.meta))
        return abstract_params(initializer(self.model, batch))

    def parameter_shardings(self) -> Any:
        """Where each of the model's parameters lies."""
        return self.placement.parameters(self.boxed_params())

    def decode(self, params: Any, batch: Batch) -> Any:
        """params: those of `load`, or `quantized`."""
        with self.placement.active():
            return _decode(self.method, self.model, self.variables(params), batch)

    def place(self, batch: Batch) -> Batch:
        return self.placement.shard_batch(batch)

    def recognize(
        self, params: Any, corpus: Corpus, report: Callable[[LoadedBatch], None]
    ) -> tuple[list[Any], float]:
        """The answer for each utterance, UNREAD where it could not be read, and the seconds."""
        return recognize(
            params,
            self.batches(corpus),
            decode=self.decode,
            place=self.place,
            read=self.read,
            num_utterances=len(corpus),
            report=report,
        )

    def batches(self, corpus: Corpus) -> Iterable[LoadedBatch]:
        """Every utterance of a corpus once; this process's rows."""
        targets = build_targets(self.meta)
        plan = eval_plan(
            self.meta.config["evaluation"],
            corpus,
            targets,
            multiple_of=self.placement.row_shards,
        )
        return load_all(
            corpus,
            plan,
            targets,
            num_workers=self.meta.config["data"]["num_workers"],
            share=self.placement.row_share,
        )


def _searches_of_tasks(meta: Meta) -> dict[str, Any]:
    return {
        name: build_decoding(section["decoding"], meta, f"config.tasks.{name}.decoding")
        for name, section in meta.config["tasks"].items()
        if "decoding" in section
    }


@partial(jax.jit, static_argnames=("method", "model"))
def _decode(method: Any, model: nn.Module, variables: dict[str, Any], batch: Batch) -> Any:
    return method(model, {**variables, "params": dequantized(variables["params"])}, batch)


def _read_text(meta: Meta) -> Callable[[Sequence[Hypothesis]], str]:
    tokenizer = meta.tokenizer
    assert tokenizer is not None, "a recogniser was built with one"
    return lambda found: tokenizer.decode(found[0].tokens)
