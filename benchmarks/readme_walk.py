"""A newcomer's walk: every command of the README, as it stands there, in a new environment.

    python -m benchmarks.readme_walk [--skip=pytest] [--only=REGEX] [--out=FOLDER]
        [--nonew_environment]

Clones the checkout, makes an environment with this Python, runs the commands one after the other
and prints how long each took. What asks for photos and sentences of one's own gets some of the
pocket world. The published models of MC-TI lie in the hub's own cache, small and random, and the
commands that name them run as they stand; the others run on the pocket models, and their lines say
so.
The exit status is 1 if a command failed.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from absl import flags

from benchmarks.small_runs import write_photos
from benchmarks.tiny_hub import write_hub
from common.errors import run_command
from common.evaluation.tables import markdown_table
from common.files import write_json
from common.pocket.datasets import open_pocket, pocket_descriptions
from common.training import say

ROOT = Path(__file__).resolve().parents[1]

# Weights of the hub that `tiny_hub` does not write.
STAND_INS = {
    ",model=openai/clip-vit-base-patch16,depth=9": "",
}
CLASSES, PHOTOS = ("dog1", "dog2", "dog3"), 5


def commands(text: str) -> Iterator[str]:
    """Yield the lines of a Markdown text's shell blocks."""
    for block in re.findall(r"^```bash\n(.*?)^```", text, re.M | re.S):
        yield from filter(None, block.splitlines())


def stood_in(command: str) -> str:
    """Return the command with what is bundled in place of what lies in the hub."""
    for published, bundled in STAND_INS.items():
        command = command.replace(published, bundled)
    return command


def write_own(folder: Path) -> None:
    """Write a newcomer's data: a folder of photos for each class, and sentences."""
    split = open_pocket("nameless").train
    for label, name in enumerate(CLASSES):
        write_photos(folder / "photos" / name, split, label, PHOTOS)
    write_json(folder / "corpus.json", pocket_descriptions("rare", PHOTOS))


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("skip", "pytest", "A regular expression of commands to leave out.")
    flags.DEFINE_string("only", "", "A regular expression of the commands to run; all by default.")
    flags.DEFINE_boolean("new_environment", True, "Install into a new one; else use this one.")
    flags.DEFINE_string("out", "", "Folder of the clone and its environment; a temporary one.")


def main(argv: Sequence[str]) -> None:
    """Walk, and print the table."""
    del argv
    out = Path(flags.FLAGS.out or tempfile.mkdtemp(prefix="walk-")).absolute()
    clone, environment = out / "checkout", out / "env"
    subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
    binaries = Path(sys.executable).parent
    if flags.FLAGS.new_environment:
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        binaries = environment / "bin"
    write_own(clone)
    variables = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "VIRTUAL_ENV": str(binaries.parent),
        **write_hub(out / "hub"),
    }
    rows, failed = [], 0
    for command in commands((clone / "README.md").read_text(encoding="utf-8")):
        if re.search(flags.FLAGS.skip, command) or not re.search(flags.FLAGS.only, command):
            continue
        bundled = stood_in(command)
        started = time.monotonic()
        with (out / "log.txt").open("a", encoding="utf-8") as log:
            log.write(f"\n$ {bundled}\n")
            log.flush()
            line = ["bash", "-c", bundled]
            done = subprocess.run(line, cwd=clone, env=variables, stdout=log, stderr=log)
        failed += done.returncode != 0
        seconds = time.monotonic() - started
        say(f"{seconds:6.1f} s, status {done.returncode}: {bundled}")
        note = "" if bundled == command else " (pocket models)"
        rows.append([f"`{command}`{note}", f"{seconds:.0f}", str(done.returncode)])
    print(f"\n{markdown_table(['command', 'seconds', 'status'], rows)}")
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    run_command(main, define_flags)
