"""Files as microscopes and exports write them, made of synthetic skin: for tests, and as seeds to fuzz from."""
