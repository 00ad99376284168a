"""OpenAI's Whisper, as sizes of the one recogniser.

Radford et al. 2022, "Robust speech recognition via large-scale weak supervision", table 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from jasr.audio.log_mel import WhisperLogMel
from jasr.layers.choices import choose
from jasr.models.recognizer import Recognizer
from jasr.models.transformer_decoder import TransformerDecoder
from jasr.models.transformer_encoder import TransformerEncoder

MAX_FRAMES, MAX_TOKENS = 1500, 448  # 30 s, two log-mel frames of 10 ms each; tokens read


@dataclass(frozen=True)
class WhisperSize:
    """What tells one Whisper from another.

    decoder_layers: where the decoder is shallower than the encoder; None for as many.
    start_id:       the token <|startoftranscript|>.
    """

    num_layers: int
    embed_dim: int
    num_heads: int
    decoder_layers: int | None = None
    vocab_size: int = 51_865
    start_id: int = 50_258
    num_mels: int = 80
    max_frames: int = MAX_FRAMES
    max_tokens: int = MAX_TOKENS


_ENGLISH = {"vocab_size": 51_864, "start_id": 50_257}
_V3 = {"vocab_size": 51_866, "num_mels": 128}

SIZES: Mapping[str, WhisperSize] = MappingProxyType(
    {
        "tiny": WhisperSize(4, 384, 6),
        "tiny.en": WhisperSize(4, 384, 6, **_ENGLISH),
        "base": WhisperSize(6, 512, 8),
        "base.en": WhisperSize(6, 512, 8, **_ENGLISH),
        "small": WhisperSize(12, 768, 12),
        "small.en": WhisperSize(12, 768, 12, **_ENGLISH),
        "medium": WhisperSize(24, 1024, 16),
        "medium.en": WhisperSize(24, 1024, 16, **_ENGLISH),
        "large": WhisperSize(32, 1280, 20),
        "large-v2": WhisperSize(32, 1280, 20),
        "large-v3": WhisperSize(32, 1280, 20, **_V3),
        "large-v3-turbo": WhisperSize(32, 1280, 20, decoder_layers=4, **_V3),
    }
)


def whisper(size: str | WhisperSize, **settings: Any) -> Recognizer:
    """Whisper of a size, its weights not loaded.

    size:     a key of `SIZES`, or sizes of one's own.
    settings: fields of encoder and decoder alike that are no part of what Whisper is: dropout,
              layer_drop, remat, unroll, dtype.

    Raises UserError for an unknown size.
    """
    if isinstance(size, str):
        size = choose(SIZES, size, key="whisper size")
    shape = {
        "embed_dim": size.embed_dim,
        "num_heads": size.num_heads,
        "mlp_dim": 4 * size.embed_dim,
        "norm": "pre",
        "activation": "gelu",
        **settings,
    }
    return Recognizer(
        vocab_size=size.vocab_size,
        log_mel=WhisperLogMel(num_mels=size.num_mels),
        encoder=TransformerEncoder(
            num_layers=size.num_layers,
            position="sinusoidal",
            stem="whisper",
            max_frames=size.max_frames,
            **shape,
        ),
        decoder=TransformerDecoder(
            num_layers=size.decoder_layers or size.num_layers,
            position="learned",
            max_tokens=size.max_tokens,
            **shape,
        ),
        ctc=False,
        tied_embeddings=True,
        start_id=size.start_id,
    )
