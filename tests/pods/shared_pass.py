"""A pass that two processes share, three times over; run by `test_passes.py`.

python shared_pass.py FOLDER prints what this process encoded and what it came to hold.
"""

import json
import sys
from pathlib import Path

import jax
import numpy as np

from common.data.passes import cached_pass
from common.errors import UserError
from common.training.mesh import join_cluster

COUNT, PART = 50, 8
WEIGHTS = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)


def encode(params, batch):
    return {"mixed": batch @ params}


def run(directory: Path, broken: int | None = None):
    """The result's bytes, and the examples that were asked for."""
    asked = []

    def load(row: int) -> np.ndarray:
        if row == broken:
            raise UserError(f"row {row} is broken.")
        asked.append(row)
        return np.random.default_rng(row).standard_normal(5).astype(np.float32)

    found = cached_pass(
        encode,
        WEIGHTS,
        load,
        COUNT,
        names=("mixed",),
        batch_size=PART,
        part=PART,
        directory=directory,
        key=lambda rows: {"rows": f"{rows.start}"},
        title="Encoding",
        unit="rows",
    )
    return found["mixed"].tobytes().hex(), sorted(set(asked))


def main(folder: Path) -> None:
    join_cluster()
    own = folder / f"own-{jax.process_index()}"
    told = {"shared": run(folder / "shared"), "own": run(own)}
    try:
        run(folder / "broken", broken=20)
    except UserError as error:
        told["error"] = str(error)
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
