"""Learning from speech alone: a model that predicts what was masked, and heads that say what."""
