"""The words of transcripts in a text file, and the lexicon of such a file."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jasr.corpora.catalogue import open_corpus
from jasr.decoding.lexicon import Lexicon, build_lexicon
from jasr.errors import UserError
from jasr.files import read_lines, write_whole
from jasr.sharding import hosts
from jasr.text.normalizer import normalizer
from jasr.text.tokenizer import Tokenizer


def write_words(config: Mapping[str, Any], output: str, data_dir: str | None) -> str:
    """Writes the words of config.splits.train, one a line, the most frequent first; says how many.

    They are normalised by config.text.normalizer. Raises UserError where there are none.
    """
    corpus = open_corpus(config["corpus"], config["splits"]["train"], data_dir)
    normalize = normalizer(config["text"]["normalizer"])
    counts = Counter(
        word for utterance in corpus.utterances for word in normalize(utterance.text or "").split()
    )
    if not counts:
        raise UserError(f"corpus {corpus.name!r}, split {corpus.split!r} has no transcripts")
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    write_whole(Path(output), "".join(f"{word}\n" for word in ranked))
    return f"wrote {output}: {len(ranked)} words of {len(corpus)} recordings"


def read_lexicon(path: str, tokenizer: Tokenizer, normalizer_name: str) -> Lexicon:
    """Of every word in a UTF-8 text, normalised; says which the tokenizer cannot spell.

    Raises UserError for a file that cannot be read, and where no word is left.
    """
    normalize = normalizer(normalizer_name)
    words = dict.fromkeys(
        word for line in read_lines(Path(path)) for word in normalize(line).split()
    )
    try:
        lexicon, unspelt = build_lexicon(words, tokenizer)
    except UserError as error:
        raise UserError(f"lexicon {path}: {error}") from error
    if unspelt:
        hosts.say(
            f"{len(unspelt)} words of {path} cannot be spelt with the model's tokens, "
            f"{unspelt[0]!r} among them"
        )
    return lexicon
