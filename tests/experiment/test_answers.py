"""Constrained search must leave a task every line that it may have to write."""

import jax.numpy as jnp
import numpy as np
import pytest

from jasr.errors import UserError
from jasr.experiment.answers import phrase_rule
from jasr.tasks.frames import SemanticRoles
from jasr.tasks.task import mark
from jasr.text.tokenizer import train_tokenizer

TASK = SemanticRoles()
FRAMES = [
    {"ARG0": "henry", "V": "reached", "ARG1": "the factory", "ARGM-TMP": "last night"},
    {"ARG0": "his mother", "V": "helped", "ARG1": "her brother"},
    {"ARG1": "the theatre", "V": "reached", "ARG0": "by david", "ARGM-LOC": "in the kitchen"},
]
TEXTS = [*(" ".join(frame.values()) for frame in FRAMES), "we read this with a match"]


@pytest.mark.parametrize(("kind", "size"), [("bpe", 48), ("bpe", 64), ("unigram", 40)])
def test_what_a_task_writes_it_may_write(kind, size):
    """Some words begin with a piece of their own, others with a space alone."""
    marks = tuple(mark(name) for name in TASK.names)
    tokenizer = train_tokenizer(kind, TEXTS, vocab_size=size, marks=marks)
    rule = phrase_rule(TASK, tokenizer)
    for frame in FRAMES:
        line = " ".join(f"{mark(role)} {phrase}" for role, phrase in frame.items())
        tokens = tokenizer.encode(line)
        held = jnp.array(tokens)[None, None]
        for place, token in enumerate([*tokens, tokenizer.end_id]):
            allowed = rule.allowed(held, jnp.array(place), tokenizer.vocab_size)
            assert np.asarray(allowed)[0, 0, token], (line, tokenizer.decode(tokens[:place]))


@pytest.mark.parametrize("kind", ["byte", "bpe"])
def test_a_tokenizer_that_does_not_know_the_names_is_refused(kind):
    texts = [*TEXTS, "<V>"]
    tokenizer = train_tokenizer(kind, texts, vocab_size=48 if kind == "bpe" else 0)
    with pytest.raises(UserError, match="the tokenizer has no token for <V>"):
        phrase_rule(SemanticRoles(names=("V",)), tokenizer)
