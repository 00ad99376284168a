"""Corpora as TFDS builders, written and read without TensorFlow."""
