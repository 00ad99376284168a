"""config.model sections that several configs share."""

from ml_collections import ConfigDict


def ctc_transformer(
    *, num_layers: int = 6, embed_dim: int = 256, num_heads: int = 4, dropout: float = 0.1
) -> ConfigDict:
    """A Transformer encoder with a CTC head."""
    return ConfigDict(
        {
            "name": "recognizer",
            "dtype": "float32",
            "log_mel": {"name": "log_mel", "num_mels": 80, "normalize": "utterance"},
            # Over what this model hears, and not over what its teacher does.
            "noise": {},
            "spec_augment": spec_augment(),
            "span_mask": {},
            "encoder": {
                "name": "transformer",
                "num_layers": num_layers,
                "embed_dim": embed_dim,
                "num_heads": num_heads,
                "mlp_dim": 4 * embed_dim,
                "position": "rotary",
                "norm": "pre",
                "activation": "gelu",
                "dropout": dropout,
                "layer_drop": 0.0,
                "stem": "conv1d_4x",
                "remat": "none",
                "unroll": 1,
            },
            "decoder": {},
            "ctc": True,
        }
    )


def ctc_conformer(
    *, num_layers: int = 8, embed_dim: int = 144, num_heads: int = 4, dropout: float = 0.1
) -> ConfigDict:
    """A Conformer encoder with a CTC head (Gulati et al., 2020; its S size has 16 layers)."""
    model = ctc_transformer(
        num_layers=num_layers, embed_dim=embed_dim, num_heads=num_heads, dropout=dropout
    )
    with model.unlocked():
        del model.encoder["norm"]
        model.encoder.name = "conformer"
        model.encoder.activation = "silu"
        model.encoder.kernel_size = 15
    return model


def masked_conformer(*, num_layers: int, embed_dim: int) -> ConfigDict:
    """A Conformer encoder that learns from masked recordings; heads are for the config to add."""
    model = ctc_conformer(num_layers=num_layers, embed_dim=embed_dim)
    with model.unlocked():
        for key in ("ctc", "decoder", "noise", "spec_augment"):
            del model[key]
        model.name = "masked_speech"
        model.encoder.stem = "conv2d_4x"
        # Half of all frames, in spans of 0.2 s.
        model.span_mask = ConfigDict({"start_probability": 0.13, "span_length": 5})
        model.mask_features = True
        model.heads = ConfigDict()
    return model


def whisper_transformer(
    *, num_layers: int, embed_dim: int, num_heads: int, num_mels: int = 80, dropout: float = 0.1
) -> ConfigDict:
    """Whisper's encoder and decoder (Radford et al., 2022), for recordings of up to 30 s."""
    model = ctc_transformer(
        num_layers=num_layers, embed_dim=embed_dim, num_heads=num_heads, dropout=dropout
    )
    add_decoder(model, num_layers=num_layers)
    with model.unlocked():
        model.log_mel = ConfigDict({"name": "whisper", "num_mels": num_mels, "chunk_seconds": None})
        model.encoder.update({"position": "sinusoidal", "stem": "whisper", "max_frames": 1500})
        model.decoder.update({"position": "learned", "max_tokens": 448})
        model.update({"ctc": False, "tied_embeddings": True})
    return model


def add_decoder(model: ConfigDict, *, num_layers: int = 4) -> None:
    """Gives the model an attention decoder as wide as its encoder."""
    encoder = model.encoder
    with model.unlocked():
        model.decoder = ConfigDict(
            {
                "name": "transformer",
                "num_layers": num_layers,
                "embed_dim": encoder.embed_dim,
                "num_heads": encoder.num_heads,
                "mlp_dim": encoder.mlp_dim,
                # By rotary positions a text is learned sooner, and a recording later.
                "position": "sinusoidal",
                "activation": "gelu",
                "dropout": encoder.dropout,
                "layer_drop": 0.0,
                "remat": "none",
                "unroll": 1,
            }
        )


def text_decoder(
    *, num_layers: int, embed_dim: int, num_heads: int, dropout: float = 0.1
) -> ConfigDict:
    """A language model, whose parameters a recogniser's decoder can start from."""
    model = ctc_transformer(
        num_layers=num_layers, embed_dim=embed_dim, num_heads=num_heads, dropout=dropout
    )
    add_decoder(model, num_layers=num_layers)
    return ConfigDict(
        {
            "name": "language_model",
            "dtype": model.dtype,
            "decoder": model.decoder,
            "tied_embeddings": True,
        }
    )


def text_encoder(
    *, num_layers: int, embed_dim: int, num_heads: int, dropout: float = 0.1
) -> ConfigDict:
    """A Transformer encoder of text."""
    model = ctc_transformer(
        num_layers=num_layers, embed_dim=embed_dim, num_heads=num_heads, dropout=dropout
    )
    return ConfigDict(
        {
            "name": "masked_text",
            "dtype": model.dtype,
            "encoder": model.encoder,
            "tied_embeddings": True,
        }
    )


def spec_augment() -> dict:
    """SpecAugment (Park et al., 2019) for utterances of a few seconds."""
    return {
        "time_masks": 2,
        "max_time_fraction": 0.1,
        "max_time_frames": 40,
        "frequency_masks": 2,
        "max_frequency_bins": 20,
    }
