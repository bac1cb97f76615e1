"""Says which class each photo shows, by the head of a classification run.

    python -m aape_jax.classify --workdir=DIR --images=PHOTOS [--out=FILE.csv]
        [--classes=FILE.json]

PHOTOS is a photo, a folder of photos at any depth, a `.txt` file with a path on each line, or `-`
for such lines on the standard input; `--images` may be given several times. Each line of the answer
has the photo, its class, the class's probability, and the runner-up with its own. `--out` takes
`.csv`, `.json` and `.jsonl`; without it the first answers are printed.

`--classes` names the classes to choose from, any of them; by default those that the run learned.

For example:

    python -m aape_jax.classify --workdir=runs/aape --images=holiday --out=answers.csv
"""

from collections.abc import Sequence

from common.commands.classify import classify_run
from common.commands.classify import define_flags_of_any_names as define_flags
from common.errors import run_command


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    # Imported once the flags are in order, so that help and mistakes show at once.
    from aape_jax.trained import load

    del argv
    classify_run(load)


if __name__ == "__main__":
    run_command(main, define_flags)
