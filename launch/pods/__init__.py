"""Starting one run on many hosts, and again after a preemption."""
