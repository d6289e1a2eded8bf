"""Which engine is right and fast enough on this machine: what `inflamap bench` measures, and how it chooses."""
