"""Flax Linen model families; they return Outputs, never a loss."""
