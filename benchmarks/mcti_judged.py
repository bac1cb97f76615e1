"""What the tokens of MC-TI's runs draw, by a judge that is not CLIP.

    python -m benchmarks.mcti_judged --runs=DIR,DIR,... [--judge=FILE] [--num=8] [--guidance=7.5]

A folder is a run on `pocket:nameless`, or holds several, one for each seed, as
`benchmarks.mcti_terms` leaves them. The judge is a small network that was trained on the
renderer's own labels: the file that `tools.pocket.pretrain` leaves in its work folder, or, without
`--judge`, one that is trained now, in minutes. A row says how many pictures have the shape, fill
and colours of their class, with mean and standard deviation over a folder's runs; the first one is
of the same model when it is told the looks in words.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from common import load_stable_diffusion
from common.config import read_config
from common.errors import UserError, run_command
from common.evaluation.summaries import summarise
from common.evaluation.tables import markdown_table
from common.pocket.captions import plain_description
from common.pocket.world import NAMELESS, Scene
from mcti_jax import load
from mcti_jax.trained import TrainedTokens
from tools.pocket.judge import agreement, read_judge, train_judge
from tools.pocket.recipe import FULL

MODEL, DATA = "pocket", "pocket:nameless"
SEED = 7  # of the pictures
ASPECTS = ("shape", "fill", "body", "mark")


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_list("runs", None, "Folders of runs.", required=True)
    flags.DEFINE_string("judge", "", "Parameters of a judge; without, one is trained.")
    flags.DEFINE_integer("num", 8, "Pictures of each class.", lower_bound=1)
    flags.DEFINE_float("guidance", 7.5, "Of the pictures.", lower_bound=0)


def runs_in(folder: Path) -> list[Path]:
    """Return the run that a folder is, or those in it.

    Raises:
      UserError: There is none, or one has another model or other classes.
    """
    if (folder / "config.json").is_file():
        found = [folder]
    else:
        found = sorted(file.parent for file in folder.glob("*/config.json"))
    if not found:
        raise UserError(f"--runs={folder}: neither a run nor a folder of runs.")
    for run in found:
        config = read_config(run)
        if config.data != DATA:
            raise UserError(f"--runs={run}: its data are {config.data}: give runs on {DATA}.")
        if config.model != MODEL:
            raise UserError(f"--runs={run}: its model is {config.model}: give runs of {MODEL}.")
    return found


def main(argv: Sequence[str]) -> None:
    """Print the table."""
    del argv
    options = flags.FLAGS
    folders = {name: runs_in(Path(name)) for name in options.runs}
    judge = read_judge(options.judge) if options.judge else train_judge(FULL.judge, FULL.seed)
    scenes = [Scene(species) for species in NAMELESS for _ in range(options.num)]

    # One model for all runs, so that it is loaded and compiled once.
    how = {"n": options.num, "guidance": options.guidance, "seed": SEED}
    draw = partial(load_stable_diffusion(MODEL).draw, **how)

    def figures(prompts: Sequence[str], **words: Mapping[str, Any]) -> dict[str, float]:
        return agreement(judge, np.stack(draw(prompts, **words)), scenes, *ASPECTS)

    told = [f"a photo of {plain_description(species)}" for species in NAMELESS]
    rows = {"told in words": [figures(told)]}
    for name, runs in folders.items():
        rows[name] = [figures(prompts_of(run), tokens=run.words) for run in map(load, runs)]
    cells = [
        [name, *(summarise(x[each] for x in found).show(share=True) for each in ASPECTS)]
        for name, found in rows.items()
    ]
    print(markdown_table(["", *(f"{each} (%)" for each in ASPECTS)], cells), flush=True)


def prompts_of(run: TrainedTokens) -> list[str]:
    """Return the prompt of each class, in the order of the classes."""
    words = {token.metadata["class"]: token.token for token in run.tokens}
    return [run.config.generate.prompt.replace("{}", words[one.name]) for one in NAMELESS]


if __name__ == "__main__":
    run_command(main, define_flags)
