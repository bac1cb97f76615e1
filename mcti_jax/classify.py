"""Says which of a run's classes each photo shows.

    python -m mcti_jax.classify --workdir=DIR --images=PHOTOS [--names=NAMES.json] [--out=FILE.csv]

PHOTOS is a photo, a folder of photos at any depth, a `.txt` file with a path on each line, or `-`
for such lines on the standard input; `--images` may be given several times. Each line of the answer
has the photo, its class, the class's probability, and the runner-up with its own. `--out` takes
`.csv`, `.json` and `.jsonl`; without it the first answers are printed.

`--names` is a JSON list of further classes, which CLIP knows by these names: they share the
classifier with the learned ones.

For example:

    python -m mcti_jax.classify --workdir=runs/mine --images=holiday --out=answers.csv
"""

from collections.abc import Sequence

from common.commands.classify import classify_run
from common.commands.classify import define_flags_of_further_names as define_flags
from common.errors import run_command


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    # Imported once the flags are in order, so that help and mistakes show at once.
    from mcti_jax.trained import load

    del argv
    classify_run(load)


if __name__ == "__main__":
    run_command(main, define_flags)
