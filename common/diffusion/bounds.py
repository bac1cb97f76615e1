"""Bounds of the numbers that a picture can be asked for with."""

from common.checks import Range
from common.seeds import SEEDS

COUNTS = {"n": Range(1, 1024), "steps": Range(1, 1000), "seed": SEEDS, "batch": Range(1, 4096)}
GUIDANCE = Range(0, 100)
SIDES = Range(1, 4096)
