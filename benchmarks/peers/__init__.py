"""The same model on the same frame by other people's software; `python -m benchmarks.peers` tells how much faster the
dense map is. What is needed beside inflamap is the dependency group `peers`."""
