"""config.model: the front end, the encoder, the heads."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from jasr.audio.log_mel import LogMel, WhisperLogMel
from jasr.audio.spec_augment import SpecAugment
from jasr.experiment.construct import construct, construct_named
from jasr.models.conformer_encoder import ConformerEncoder
from jasr.models.recognizer import Recognizer
from jasr.models.transformer_decoder import TransformerDecoder
from jasr.models.transformer_encoder import TransformerEncoder

LOG_MELS = {"log_mel": LogMel, "whisper": WhisperLogMel}
ENCODERS = {"transformer": TransformerEncoder, "conformer": ConformerEncoder}
DECODERS = {"transformer": TransformerDecoder}
# Keys of config.model that are built here; the others are the recogniser's own fields.
PARTS = ("dtype", "log_mel", "spec_augment", "encoder", "decoder")


@runtime_checkable
class Vocabulary(Protocol):
    """What a model must know of its tokens; a tokenizer is one."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def start_id(self) -> int: ...


def build_log_mel(
    config: Mapping[str, Any], statistics: Mapping[str, list[float]] | None
) -> LogMel | WhisperLogMel:
    """The front end of config.model.log_mel.

    statistics: "mean" and "std" of each mel band over the training audio, where the front end
    normalises by them.
    """
    given = {name: tuple(values) for name, values in (statistics or {}).items()}
    return construct_named(LOG_MELS, config, "config.model.log_mel", **given)


def build_model(
    config: Mapping[str, Any],
    vocabulary: Vocabulary,
    statistics: Mapping[str, list[float]] | None = None,
) -> Recognizer:
    """The recogniser of config.model, for a vocabulary.

    An empty section, of the decoder or of spec_augment, leaves that part out.
    """
    dtype, augment, decoder = config["dtype"], config["spec_augment"], config["decoder"]
    return construct(
        Recognizer,
        {key: value for key, value in config.items() if key not in PARTS},
        "config.model",
        vocab_size=vocabulary.vocab_size,
        start_id=vocabulary.start_id,
        log_mel=build_log_mel(config["log_mel"], statistics),
        spec_augment=construct(SpecAugment, augment, "config.model.spec_augment")
        if augment
        else None,
        encoder=construct_named(ENCODERS, config["encoder"], "config.model.encoder", dtype=dtype),
        decoder=construct_named(DECODERS, decoder, "config.model.decoder", dtype=dtype)
        if decoder
        else None,
    )
