"""jasr trains speech recognisers in JAX and Flax, from a laptop to a TPU pod."""
