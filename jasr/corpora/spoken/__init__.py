"""The embedded corpus: sentences of a small grammar, spoken by espeak-ng."""
