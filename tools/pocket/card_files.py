"""What the cards of the bundled models share: how they are measured, counted and written."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from common.files import atomic_write

TEST_SEED = 99
"""Of the measurements; what the models are trained on has the recipe's."""


def millions(params: Any) -> float:
    """Return how many million parameters a tree has."""
    return sum(x.size for x in jax.tree.leaves(params)) / 1e6


def write_card_files(directory: Path, figures: Mapping[str, float], text: str) -> None:
    """Write figures.json and README.md beside a model."""
    files = {"figures.json": json.dumps(figures, indent=2) + "\n", "README.md": text}
    for name, content in files.items():
        with atomic_write(directory / name) as path:
            path.write_text(content)
