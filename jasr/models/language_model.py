"""A decoder that reads text alone and predicts the next token.

text ──▶ [start] + text ──▶ token embedding ──▶ decoder ──▶ "decoder"
"""

from flax import linen as nn

from jasr.layers.token_embedding import TokenEmbedding
from jasr.models.shifted import shifted
from jasr.models.transformer_decoder import TransformerDecoder
from jasr.types import Batch, Factored, Outputs, Padded


class LanguageModel(nn.Module):
    """A causal language model; a recogniser's decoder can start from its parameters.

    tied_embeddings, start_id: as in `Recognizer`, whose parameters have the same names.
    """

    vocab_size: int
    decoder: TransformerDecoder
    tied_embeddings: bool = True
    start_id: int = 1

    def setup(self) -> None:
        self.token_embedding = TokenEmbedding(
            self.vocab_size, self.decoder.embed_dim, self.tied_embeddings, self.decoder.dtype
        )

    def __call__(self, batch: Batch, *, train: bool) -> Outputs:
        """ "decoder" and "decoder_factors", as a `Recognizer` gives them."""
        read = shifted(batch, self.start_id)
        x_BTE = self.decoder(self.token_embedding(read.values), None, train=train)
        logits_BTV = self.token_embedding.logits(x_BTE)
        states_BTF, vocabulary_VF = self.token_embedding.factors(x_BTE)
        return {
            "decoder": Padded(logits_BTV, read.mask),
            "decoder_factors": Factored(states_BTF, read.mask, vocabulary_VF),
        }
