"""What a trained recogniser hears in recordings that nobody transcribed, as JSON lines.

recordings ──▶ search, n-best ──▶ {"id", "answer", "confidence", "hypotheses", "teacher", ...}
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jasr.corpora.catalogue import open_corpus
from jasr.corpora.corpus import Corpus, Problem
from jasr.decoding.hypotheses import Hypothesis
from jasr.errors import UserError
from jasr.evaluation.recognition import UNREAD
from jasr.experiment.recognition import Recognition
from jasr.experiment.trained import load
from jasr.files import write_json_lines
from jasr.sharding import hosts
from jasr.text.error_counts import count_word_errors
from jasr.text.normalizer import normalizer


def label_split(
    workdir: str,
    config: Mapping[str, Any],
    output: str,
    *,
    checkpoint: str,
    data_dir: str | None,
    decoding: str | None,
    second: str | None = None,
    second_decoding: str | None = None,
) -> None:
    """Writes what the recogniser of a workdir hears in config.splits.untranscribed; says how much.

    second: another recogniser's workdir, its best checkpoint, for their "agreement", one less its
            word error rate against the first, both normalised by config.text.normalizer.
    second_decoding: how that one searches, as `decoding` says of the first.

    Of each recording "answer", the best hypothesis; "confidence", the geometric mean of its tokens'
    probabilities; "hypotheses", all that the search found, each with its own; "teacher", which
    model and search it was; and "second", the same of the other. What is believed of it is up to
    config.labels.

    Raises UserError where there is nothing to label.
    """
    if second_decoding is not None and second is None:
        raise UserError(f"--second_decoding={second_decoding}: say whose, by --second=WORKDIR")
    split = config["splits"]["untranscribed"]
    if not split:
        raise UserError("config.splits.untranscribed is empty: say which recordings to label")
    if Path(output).exists():
        raise UserError(
            f"--output={output} is there already, and trainings may depend on it: give another file"
        )
    corpus = open_corpus(config["corpus"], split, data_dir)
    heard, origin = _hear(workdir, corpus, checkpoint, decoding)
    others, other_origin = (
        (None, "") if second is None else _hear(second, corpus, "best", second_decoding)
    )
    normalize, rows = normalizer(config["text"]["normalizer"]), []
    for place, (utterance, found) in enumerate(zip(corpus.utterances, heard, strict=True)):
        row = {"id": utterance.id, **_row(found), "teacher": origin}
        if others is not None:
            row["agreement"] = _agreement(
                normalize(row["answer"]), normalize(_row(others[place])["answer"])
            )
            row["second"] = other_origin
        rows.append(row)
    if hosts.is_first():
        write_json_lines(Path(output), rows)
    sure = sum(row["confidence"] for row in rows) / max(1, len(rows))
    hosts.say(f"wrote {output}: {len(rows)} recordings, mean confidence {sure:.3f}")


Heard = Sequence[tuple[str, float]]


def _hear(
    workdir: str, corpus: Corpus, checkpoint: str, decoding: str | None
) -> tuple[list[Any], str]:
    """Texts and confidences of each recording, and who heard them."""
    recognition, params, step = load(workdir, checkpoint, decoding)
    if recognition.meta.config["tasks"]:
        raise UserError(f"--workdir={workdir} does several tasks; give one that transcribes alone")
    rate = recognition.meta.config["corpus"]["sample_rate"]
    if rate != corpus.sample_rate:
        raise UserError(
            f"--workdir={workdir} hears {rate} Hz, and config.corpus.sample_rate is "
            f"{corpus.sample_rate}: give a recogniser of the same rate"
        )
    confident = dataclasses.replace(recognition, read=_confident(recognition))
    problems: list[Problem] = []
    heard, _ = confident.recognize(
        params, corpus, report=lambda loaded: problems.extend(loaded.problems)
    )
    if problems:
        first = problems[0]
        hosts.say(f"{len(problems)} recordings cannot be read; {first.id}: {first.reason}")
    return heard, f"{workdir}, step {step}, {recognition.name}"


def _confident(recognition: Recognition) -> Any:
    def read(found: Sequence[Hypothesis]) -> Heard:
        return [
            (recognition.tokenizer.decode(one.tokens), recognition.method.confidence(one))
            for one in found
            if one.score > float("-inf")
        ]

    return read


def _row(found: Any) -> dict[str, Any]:
    """Of a recording that could not be read, or in which nothing was found, nothing is believed."""
    if found is UNREAD or not found:
        return {"answer": "", "confidence": 0.0, "hypotheses": []}
    return {
        "answer": found[0][0],
        "confidence": round(found[0][1], 6),
        "hypotheses": [{"text": text, "confidence": round(sure, 6)} for text, sure in found],
    }


def _agreement(answer: str, other: str) -> float:
    if not answer.split():
        return float(not other.split())
    return max(0.0, 1.0 - float(count_word_errors(answer, other).rate))
