"""Search over step functions, wholly compiled."""
