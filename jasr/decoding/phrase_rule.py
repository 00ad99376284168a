"""Which token keeps a line of named phrases well-formed: <ARG0> anna <V> gave <ARG1> the letter."""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int


@dataclasses.dataclass(frozen=True)
class PhraseRule:
    """A name first, at least one word behind every name, no name twice.

    names:   token ids of the names.
    starts:  token ids that begin a word.
    end_id:  of the token that ends the line.
    gaps:    token ids of a space alone, behind which a word is spelt by tokens that begin none.
    openers: of the names, those of which one is first and no other follows; () if any may be.
    foreign: token ids that no line has.
    """

    names: tuple[int, ...]
    starts: tuple[int, ...]
    end_id: int
    gaps: tuple[int, ...] = ()
    openers: tuple[int, ...] = ()
    foreign: tuple[int, ...] = ()

    def allowed(
        self,
        tokens_BKN: Int[Array, "batch beams tokens"],
        num_tokens: Int[Array, ""],
        vocab_size: int,
    ) -> Bool[Array, "batch beams vocab"]:
        """Which token may follow the first `num_tokens` of a beam."""
        names_M = jnp.array(self.names)
        is_name_V, is_start_V, is_gap_V, is_opener_V, is_foreign_V = (
            _among(ids, vocab_size)
            for ids in (self.names, self.starts, self.gaps, self.openers, self.foreign)
        )
        is_inner_V = ~(is_name_V | is_start_V | is_gap_V | is_foreign_V)
        last_BK = jnp.take(tokens_BKN, num_tokens - 1, axis=-1, mode="clip")
        begun = num_tokens > 0
        behind_name_BK1 = (begun & is_name_V[last_BK])[..., None]
        behind_gap_BK1 = (begun & is_gap_V[last_BK])[..., None]
        is_written_N = jnp.arange(tokens_BKN.shape[-1]) < num_tokens
        used_BKM = jnp.any((tokens_BKN[..., None] == names_M) & is_written_N[:, None], axis=2)
        name_BKV = jnp.zeros((*last_BK.shape, vocab_size), bool).at[..., names_M].set(~used_BKM)
        if self.openers:
            name_BKV &= begun ^ is_opener_V
        anywhere_V = is_start_V | is_gap_V | is_inner_V
        within_BKV = begun & jnp.where(
            behind_name_BK1,
            is_start_V | is_gap_V,
            jnp.where(behind_gap_BK1, is_inner_V, anywhere_V),
        )
        is_end_V = jnp.arange(vocab_size) == self.end_id
        return jnp.where(
            is_name_V | is_end_V,
            ~(behind_name_BK1 | behind_gap_BK1) & (name_BKV | (is_end_V & begun)),
            within_BKV,
        )


def _among(ids: tuple[int, ...], vocab_size: int) -> Bool[Array, " vocab"]:
    return jnp.zeros(vocab_size, bool).at[jnp.array(ids, jnp.int32)].set(True)
