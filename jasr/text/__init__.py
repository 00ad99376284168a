"""Tokenizers, normalisers and error counts."""
