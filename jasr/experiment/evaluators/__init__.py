"""What is asked of a model during its training; a file each."""
