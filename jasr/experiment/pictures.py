"""What the model saw and where it looked, for the utterances it got most wrong."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jasr.corpora.corpus import Corpus
from jasr.errors import UserError
from jasr.evaluation.picture import Picture
from jasr.evaluation.scoring import UtteranceScore
from jasr.experiment.recognition import Recognition
from jasr.text.tokenizer import Tokenizer
from jasr.types import Batch, Padded, path_of

PICTURED = 4
SHOWN_TOKENS = 24


def pictures_of(
    recognition: Recognition, params: Any, corpus: Corpus, scores: Sequence[UtteranceScore]
) -> dict[str, list[Picture]]:
    """Log-mel, CTC posteriors and the decoder's attention of the worst utterances, by id."""
    number_of = {utterance.id: i for i, utterance in enumerate(corpus.utterances)}
    tokenizer = recognition.tokenizer
    shown, waves, tokens = [], [], []
    for score in sorted(scores, key=lambda score: -score.words.errors)[:PICTURED]:
        try:
            wave = corpus.read(number_of[score.id])
            written = np.asarray(tokenizer.encode(score.hypothesis), np.int32)
        except UserError:
            # It was named, or normalising made characters of it that no token has.
            continue
        shown.append(score)
        waves.append(wave)
        tokens.append(written)
    if not shown:
        return {}
    seen = _look(recognition, params, waves, tokens)
    log_mel: Any = recognition.model.log_mel
    draw = functools.partial(_draw, tokenizer, log_mel.hop_length / log_mel.sample_rate)
    return {
        score.id: draw(tokens[row], *jax.tree.map(lambda x, row=row: x[row], seen))
        for row, score in enumerate(shown)
    }


def _look(
    recognition: Recognition,
    params: Any,
    waves: Sequence[np.ndarray],
    tokens: Sequence[np.ndarray],
) -> tuple[Padded, Padded | None, np.ndarray | None]:
    """Log-mel, CTC posteriors and attention [B, tokens, frames], in one compiled call."""
    model = recognition.model
    batch = Batch(
        audio=_padded(waves),
        targets={"text": _padded(tokens)},
        example_mask=np.ones(len(waves), bool),
        example_ids=np.arange(len(waves), dtype=np.uint32),
    )

    @functools.partial(jax.jit, out_shardings=recognition.placement.replicated)
    def look(params: Any, batch: Batch) -> Any:
        outputs, looked = model.apply(
            recognition.variables(params), batch, train=False, mutable="attention"
        )
        ctc = outputs.get("ctc")
        posteriors = None if ctc is None else Padded(jax.nn.softmax(ctc.values), ctc.mask)
        # [layers, B, heads, tokens, frames]: the last layer, its heads averaged.
        attention = [
            jnp.mean(weights[-1], axis=1)
            for path, weights in jax.tree_util.tree_leaves_with_path(looked)
            if "cross_attention" in path_of(path).split("/")
        ]
        return model.log_mel(batch.audio), posteriors, attention[0] if attention else None

    with recognition.placement.active():
        return jax.device_get(look(params, batch))


def _draw(
    tokenizer: Tokenizer,
    seconds_per_frame: float,
    tokens: np.ndarray,
    log_mel: Padded,
    posteriors: Padded | None,
    attention: np.ndarray | None,
) -> list[Picture]:
    bands = log_mel.values[log_mel.mask].T
    seconds = seconds_per_frame * bands.shape[1]
    pictures = [
        Picture(
            title="log-mel",
            image=bands,
            x_label="seconds",
            y_label="mel band",
            extent=(0.0, seconds, 0, len(bands)),
        )
    ]
    if posteriors is not None:
        image = posteriors.values[posteriors.mask].T
        likely = np.sort(np.argsort(-image.max(axis=1))[:SHOWN_TOKENS])
        pictures.append(
            Picture(
                title="CTC posteriors of the tokens that some frame favours most",
                image=image[likely],
                x_label="seconds",
                y_label="token",
                extent=(0.0, seconds, 0, len(likely)),
                row_labels=tuple(_label(tokenizer, int(token)) for token in likely),
            )
        )
    if attention is not None:
        written = [*tokens.tolist(), tokenizer.end_id]
        # Frames behind the recording's end have no weight: cut where the recording ends.
        frames = -(-bands.shape[1] * attention.shape[1] // log_mel.mask.shape[0])
        pictures.append(
            Picture(
                title="attention of the decoder's last layer, mean of its heads",
                image=attention[: len(written), :frames][::-1],
                x_label="seconds",
                y_label="token",
                extent=(0.0, seconds, 0, len(written)),
                row_labels=tuple(_label(tokenizer, token) for token in reversed(written)),
            )
        )
    return pictures


def _padded(rows: Sequence[np.ndarray]) -> Padded:
    lengths = np.asarray([len(row) for row in rows])
    mask = np.arange(max(lengths.max(), 1)) < lengths[:, None]
    values = np.zeros(mask.shape, rows[0].dtype)
    values[mask] = np.concatenate(rows)
    return Padded(values, mask)


def _label(tokenizer: Tokenizer, token: int) -> str:
    if token == tokenizer.blank_id:
        return "blank"
    if token == tokenizer.end_id:
        return "end"
    return repr(tokenizer.decode([token]))
