"""config.model: the front end, the encoder, the heads."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

from flax import linen as nn
from flax.core import FrozenDict

from jasr.audio.add_noise import AddNoise
from jasr.audio.log_mel import LogMel, WhisperLogMel
from jasr.audio.raw_waveform import RawWaveform
from jasr.audio.spec_augment import SpecAugment
from jasr.errors import UserError, nearest
from jasr.experiment.construct import construct, construct_named
from jasr.models.adversarial.adversarial_speech import AdversarialSpeech
from jasr.models.adversarial.networks import Discriminator, Generator
from jasr.models.conformer_encoder import ConformerEncoder
from jasr.models.encoder import Encoder
from jasr.models.language_model import LanguageModel
from jasr.models.pretraining.best_rq import BestRQ
from jasr.models.pretraining.clusters import Clusters
from jasr.models.pretraining.contrastive import Contrastive
from jasr.models.pretraining.data2vec import Data2Vec
from jasr.models.pretraining.masked_speech import MaskedSpeech
from jasr.models.pretraining.masked_text import MaskedText, TokenMask
from jasr.models.pretraining.span_mask import SpanMask
from jasr.models.pretraining.units import Units
from jasr.models.recognizer import Recognizer
from jasr.models.transformer_decoder import TransformerDecoder
from jasr.models.transformer_encoder import TransformerEncoder
from jasr.tasks.task import Classified, Tagged, Task

LOG_MELS = {"log_mel": LogMel, "whisper": WhisperLogMel, "waveform": RawWaveform}
ENCODERS = {"transformer": TransformerEncoder, "conformer": ConformerEncoder}
DECODERS = {"transformer": TransformerDecoder}
HEADS = {"best_rq": BestRQ, "contrastive": Contrastive, "data2vec": Data2Vec, "units": Units}
OF_TEXT = ("recognizer", "language_model", "masked_text", "adversarial_speech")
OF_AUDIO_ALONE = ("masked_speech",)
# Keys of config.model that are built here; the others are the model's own fields.
PARTS = (
    *("name", "dtype", "log_mel", "noise", "spec_augment", "encoder", "decoder"),
    *("span_mask", "heads", "token_mask", "generator", "discriminator"),
)


@runtime_checkable
class Vocabulary(Protocol):
    """What a model must know of its tokens; a tokenizer is one."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def start_id(self) -> int: ...

    def names(self) -> list[str]: ...


def build_model(
    config: Mapping[str, Any],
    vocabulary: Vocabulary | None,
    statistics: Mapping[str, list[float]] | None = None,
    clusters: Clusters | None = None,
    tasks: Mapping[str, Task] = MappingProxyType({}),
) -> nn.Module:
    """The model of config.model.

    vocabulary: of a model that reads or writes text.
    clusters:   of a model that predicts them.
    tasks:      of a recogniser that does several things.
    """
    match config["name"]:
        case "recognizer":
            return build_recognizer(config, vocabulary, statistics, tasks)
        case "masked_speech":
            return _masked_speech(config, statistics, clusters)
        case "language_model":
            return _of_text(LanguageModel, config, vocabulary)
        case "masked_text":
            token_mask = construct(TokenMask, config["token_mask"], "config.model.token_mask")
            return _of_text(MaskedText, config, vocabulary, token_mask=token_mask)
        case "adversarial_speech":
            return _adversarial_speech(config, vocabulary, clusters)
    raise UserError(
        f"config.model.name {config['name']!r} is unknown: "
        f"{nearest(str(config['name']), (*OF_TEXT, *OF_AUDIO_ALONE))}"
    )


def needs_text(config: Mapping[str, Any]) -> bool:
    """Whether the model of config.model learns from text, alone or with audio."""
    return config["name"] not in OF_AUDIO_ALONE


def build_log_mel(
    config: Mapping[str, Any], statistics: Mapping[str, list[float]] | None
) -> LogMel | WhisperLogMel | RawWaveform:
    """The front end of config.model.log_mel.

    statistics: "mean" and "std" of each mel band over the training audio, where the front end
    normalises by them.
    """
    given = {name: tuple(values) for name, values in (statistics or {}).items()}
    return construct_named(LOG_MELS, config, "config.model.log_mel", **given)


def build_encoder(config: Mapping[str, Any]) -> Encoder:
    """The encoder of config.model."""
    return construct_named(
        ENCODERS, config["encoder"], "config.model.encoder", dtype=config["dtype"]
    )


def build_recognizer(
    config: Mapping[str, Any],
    vocabulary: Vocabulary | None,
    statistics: Mapping[str, list[float]] | None = None,
    tasks: Mapping[str, Task] = MappingProxyType({}),
) -> Recognizer:
    """The recogniser of config.model, for a vocabulary and what it is to do.

    An empty section, of the decoder, noise, spec_augment or span_mask, leaves that part out.
    """
    if config["name"] != "recognizer" or vocabulary is None:
        raise UserError(
            f"config.model.name is {config['name']!r}, which recognises no words: fine-tune it "
            f"into a recognizer first (configs/finetune.py)"
        )
    if config.get("reads") == "transcript" and not tasks:
        raise UserError(
            "config.model.reads is 'transcript', and there are no config.tasks to be told of it: "
            "give some, or let the model hear recordings"
        )
    augment, decoder = config["spec_augment"], config["decoder"]
    # Trainings from before there was noise here have none.
    noise = config.get("noise")
    return construct(
        Recognizer,
        _own_fields(config),
        "config.model",
        vocab_size=vocabulary.vocab_size,
        start_id=vocabulary.start_id,
        log_mel=build_log_mel(config["log_mel"], statistics),
        noise=construct(AddNoise, noise, "config.model.noise") if noise else None,
        spec_augment=construct(SpecAugment, augment, "config.model.spec_augment")
        if augment
        else None,
        span_mask=_span_mask(config) if config["span_mask"] else None,
        encoder=build_encoder(config),
        decoder=_decoder(config) if decoder else None,
        **heads_of(tasks),
    )


def heads_of(tasks: Mapping[str, Task]) -> dict[str, Any]:
    """What a recogniser must know of its tasks."""

    def sizes(kind: Any) -> FrozenDict[str, int]:
        return FrozenDict({n: len(t.names) for n, t in tasks.items() if isinstance(t, kind)})

    return {"num_tasks": len(tasks), "classes": sizes(Classified), "tags": sizes(Tagged)}


def _own_fields(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in PARTS}


def _span_mask(config: Mapping[str, Any]) -> SpanMask:
    return construct(SpanMask, config["span_mask"], "config.model.span_mask")


def most_tokens(config: Mapping[str, Any]) -> int | None:
    """How long a text the decoder of config.model can read; None where any."""
    decoder = config["decoder"] and _decoder(config)
    # One position is the start token's.
    return decoder.max_tokens - 1 if decoder and decoder.position == "learned" else None


def _decoder(config: Mapping[str, Any]) -> TransformerDecoder:
    return construct_named(
        DECODERS, config["decoder"], "config.model.decoder", dtype=config["dtype"]
    )


def _of_text(
    model: type[nn.Module],
    config: Mapping[str, Any],
    vocabulary: Vocabulary | None,
    **given: Any,
) -> nn.Module:
    """A model whose body is a decoder, or an encoder, of text."""
    assert vocabulary is not None, "text has a tokenizer"
    if config.get("encoder"):
        given["encoder"] = build_encoder(config)
    if config.get("decoder"):
        given["decoder"] = _decoder(config)
    return construct(
        model,
        _own_fields(config),
        "config.model",
        vocab_size=vocabulary.vocab_size,
        start_id=vocabulary.start_id,
        **given,
    )


def _masked_speech(
    config: Mapping[str, Any],
    statistics: Mapping[str, list[float]] | None,
    clusters: Clusters | None,
) -> MaskedSpeech:
    if not config["heads"]:
        raise UserError(f"config.model.heads is empty: {nearest('', HEADS)}")
    heads = {}
    for name, head in config["heads"].items():
        given = {"clusters": clusters} if head.get("name") == "units" else {}
        heads[name] = construct_named(HEADS, head, f"config.model.heads.{name}", **given)
    return construct(
        MaskedSpeech,
        _own_fields(config),
        "config.model",
        log_mel=build_log_mel(config["log_mel"], statistics),
        encoder=build_encoder(config),
        span_mask=_span_mask(config),
        heads=heads,
    )


def _adversarial_speech(
    config: Mapping[str, Any], vocabulary: Vocabulary | None, clusters: Clusters | None
) -> AdversarialSpeech:
    if clusters is None:
        raise UserError("config.model.name 'adversarial_speech' needs config.clusters")
    assert vocabulary is not None, "text has a tokenizer"
    if " " not in vocabulary.names():
        raise UserError(
            "config.model.name 'adversarial_speech' generates characters, the space as silence: "
            "set config.text.tokenizer to character, for texts of several words"
        )
    generator = construct(
        Generator,
        config["generator"],
        "config.model.generator",
        vocab_size=vocabulary.vocab_size,
    )
    return construct(
        AdversarialSpeech,
        _own_fields(config),
        "config.model",
        vocab_size=vocabulary.vocab_size,
        clusters=clusters,
        generator=generator,
        discriminator=construct(
            Discriminator, config["discriminator"], "config.model.discriminator"
        ),
        silence_id=vocabulary.names().index(" "),
    )
