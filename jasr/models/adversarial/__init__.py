"""Learning to recognise from speech and text that do not belong together."""
