"""Losses over (Outputs, Batch), and the combinator that composes them."""
