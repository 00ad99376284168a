"""How much each term of the objective counts, found while training; a file for each way."""
