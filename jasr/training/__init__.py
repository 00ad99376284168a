"""State, step, optimizer, checkpoint and the one loop."""
