"""What recordings are to be turned into: a file for each task."""
