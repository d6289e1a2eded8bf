"""How fast the runtime is, each figure as a ratio to a reference in the same run.

    python -m benchmarks.speed [--short] [--only NAME] [--accept]

runs `bench_*.py` under pytest-benchmark and holds the ratios against `baseline.json`.
"""
