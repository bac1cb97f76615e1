"""Checks what the README's main job has left in a folder: `python .ci/check_main_job.py DIR`."""

import json
import pathlib
import sys

run = pathlib.Path(sys.argv[1])
result = json.loads((run / "result.json").read_text())
# Twenty classes: chance is 0.05.
assert result["metrics"]["accuracy"] > 0.6, result["metrics"]
assert (run / "samples.png").stat().st_size > 10_000
assert len(list((run / "tokens").glob("*.safetensors"))) > 1
