"""What the model saw and where it looked, for the utterances it got most wrong."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jasr.corpora.corpus import Corpus
from jasr.errors import UserError
from jasr.evaluation.picture import Picture
from jasr.evaluation.scoring import UtteranceScore
from jasr.experiment.recognition import Recognition
from jasr.types import Batch, Padded

PICTURED = 4
SHOWN_TOKENS = 24


def pictures_of(
    recognition: Recognition, params: Any, corpus: Corpus, scores: Sequence[UtteranceScore]
) -> dict[str, list[Picture]]:
    """Log-mel, CTC posteriors and the decoder's attention of the worst utterances, by id."""
    worst = sorted(scores, key=lambda score: -score.words.errors)[:PICTURED]
    number_of = {utterance.id: i for i, utterance in enumerate(corpus.utterances)}
    pictures = {}
    for score in worst:
        try:
            wave = corpus.read(number_of[score.id])
        except UserError:
            continue  # evaluation has already named it
        pictures[score.id] = _draw(recognition, params, wave, score)
    return pictures


def _draw(
    recognition: Recognition, params: Any, wave: np.ndarray, score: UtteranceScore
) -> list[Picture]:
    tokenizer, model = recognition.meta.tokenizer, recognition.model
    seconds = len(wave) / recognition.meta.config["corpus"]["sample_rate"]
    tokens = np.asarray(tokenizer.encode(score.hypothesis) or [tokenizer.end_id], np.int32)
    batch = Batch(
        audio=_whole(wave),
        targets={"text": _whole(tokens)},
        example_mask=np.ones(1, bool),
        example_ids=np.zeros(1, np.uint32),
    )
    outputs, looked = model.apply({"params": params}, batch, train=False, mutable=["intermediates"])
    log_mel = np.asarray(model.log_mel(batch.audio).values[0]).T
    pictures = [
        Picture(
            title="log-mel",
            image=log_mel,
            x_label="seconds",
            y_label="mel band",
            extent=(0.0, seconds, 0, log_mel.shape[0]),
        )
    ]
    if "ctc" in outputs:
        posteriors = np.asarray(jax.nn.softmax(outputs["ctc"].values[0])).T
        likely = np.sort(np.argsort(-posteriors.max(axis=1))[:SHOWN_TOKENS])
        pictures.append(
            Picture(
                title="CTC posteriors of the tokens that some frame favours most",
                image=posteriors[likely],
                x_label="seconds",
                y_label="token",
                extent=(0.0, seconds, 0, len(likely)),
                row_labels=tuple(_label(tokenizer, int(token)) for token in likely),
            )
        )
    for attention in jax.tree.leaves(looked):
        # [layers, 1, heads, tokens, frames]: the last layer, its heads averaged.
        weights = np.asarray(attention)[-1, 0].mean(axis=0)
        pictures.append(
            Picture(
                title="attention of the decoder's last layer, mean of its heads",
                image=weights[::-1],
                x_label="seconds",
                y_label="token",
                extent=(0.0, seconds, 0, len(weights)),
                row_labels=tuple(
                    _label(tokenizer, int(token)) for token in reversed([*tokens, tokenizer.end_id])
                ),
            )
        )
    return pictures


def _whole(values: np.ndarray) -> Padded:
    return Padded(values[None], np.ones((1, len(values)), bool))


def _label(tokenizer: Any, token: int) -> str:
    if token == tokenizer.blank_id:
        return "blank"
    if token == tokenizer.end_id:
        return "end"
    return repr(tokenizer.decode([token]))
