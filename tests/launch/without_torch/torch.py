"""In PyTorch's place for the processes that tests start: jasr runs where it is not installed."""

raise ImportError("PyTorch is for the tests that compare with it alone")
