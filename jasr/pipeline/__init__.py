"""From a prepared corpus to batches, in an order that is a pure function of (seed, step)."""
