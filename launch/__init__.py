"""Entry points: absl flags in, one screenful each."""
