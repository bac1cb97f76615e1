"""Everything that a GPU is asked, in one command: parity, speed and memory beside PyTorch.

    python -m benchmarks.on_gpu --out=FOLDER [--parts=mcti,mcti_torch] [--limit=470]

| part                     | what it measures                                                   |
| ------------------------ | ------------------------------------------------------------------ |
| clip, sd, update         | relative errors of networks, of the gradient of MC-TI's update     |
| mcti, mcti_torch         | MC-TI's update at 512 pixels, the reference's, textual inversion   |
| sampling, sampling_torch | 25 steps with guidance, diffusers' pipeline                        |
| protext                  | ProText's step and the reference's                                 |

Weights, pictures and texts are random. Each part has a process and a time limit of its own;
what fails says why. FOLDER/gpu.json is written anew after every row, and FOLDER/gpu.md holds the
tables; parts that the JSON file holds already stay unless they are measured again.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from absl import flags

from benchmarks.gpu.parts import PARTS, note_fault, run_apart, run_part
from benchmarks.gpu.setting import Setting
from benchmarks.gpu.tables import show
from common.errors import UserError, run_command
from common.files import atomic_write, read_json
from common.paths import as_output_folder
from common.progress import say

LEAST = 15.0  # seconds without which a part is not begun
NEEDED = ("torch", "transformers", "diffusers")


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("out", None, "Folder of gpu.json and gpu.md.", required=True)
    flags.DEFINE_list("parts", list(PARTS), "What to measure.")
    flags.DEFINE_float("limit", 470.0, "Seconds for all parts together.", lower_bound=1)
    flags.DEFINE_float("seconds", 1.0, "Least time of one measurement.", lower_bound=0)
    flags.DEFINE_bool("tiny", False, "Tiny networks, to try the script out.")
    flags.DEFINE_enum("device", "gpu", ["gpu", "cpu"], "Where all of it runs.")
    flags.DEFINE_enum("only", None, list(PARTS), "Measure this part in this very process.")
    flags.DEFINE_string("work", None, "Folder in which parts leave what others compare with.")


def measure(options: flags.FlagValues, out: Path, work: str) -> bool:
    """Measure the chosen parts, each in its process; return whether all of them finished."""
    results, ends = out / "gpu.json", time.monotonic() + options.limit
    arguments = [f"--out={out}", f"--work={work}", f"--device={options.device}"]
    arguments += [f"--seconds={options.seconds}", f"--tiny={str(options.tiny).lower()}"]
    fine = True
    for name in (part for part in PARTS if part in options.parts):
        left = min(PARTS[name].limit, ends - time.monotonic())
        say(f"{name}: up to {max(left, 0):.0f} s")
        if left < LEAST:
            note_fault(name, "not begun, because the time was up", results)
            fine = False
        else:
            fine &= not run_apart(name, arguments, results, left, options.device == "cpu")
        with atomic_write(out / "gpu.md") as temporary:
            temporary.write_text(show(read_json(results)))
    return fine


def main(argv: Sequence[str]) -> None:
    """Measure, print the tables, and exit with status 1 if a part did not finish."""
    del argv
    options = flags.FLAGS
    if unknown := set(options.parts) - PARTS.keys():
        raise UserError(
            f"--parts={','.join(sorted(unknown))} is not a part: choose of {', '.join(PARTS)}."
        )
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise UserError(
            f"this compares with PyTorch, and {' and '.join(missing)} cannot be imported: "
            "pip install 'promptax[reference]'."
        )
    out = as_output_folder(options.out, "--out", local=True)
    out.mkdir(parents=True, exist_ok=True)
    if options.only:
        device = "cuda" if options.device == "gpu" else "cpu"
        setting = Setting(options.tiny, device, Path(options.work or out), options.seconds)
        run_part(options.only, setting, out / "gpu.json")
        return
    with tempfile.TemporaryDirectory() as scratch:
        fine = measure(options, out, options.work or scratch)
    print((out / "gpu.md").read_text())
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    run_command(main, define_flags)
