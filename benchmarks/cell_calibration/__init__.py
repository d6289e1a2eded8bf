"""Calibration of map cells on frames of known truth, under several ways to fit the temperature.

    python -m benchmarks.cell_calibration [--full] [--seed N] [--work DIR]

Trains a network on synthetic images of 200 px, larger than its patches of 128 px: skin (`inflamap phantom`), and spots
(`spots.py`). Fits the temperature of each in four ways (`temperatures.py`), and compares confidence with accuracy cell
by cell on mosaics of held-out images and on phantom frames whose severity is known at every pixel (`cells.py`). Prints
the tables of docs/calibration.md. About a minute on one core; with --full about ten. Exit code 1 when mean confidence
differs from accuracy by more than the limit on the mosaics.
"""
