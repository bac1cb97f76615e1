"""What the tokens of MC-TI's runs draw, by a judge that is not CLIP and by the photos.

    python -m benchmarks.mcti_judged --runs=DIR,DIR,... [--judge=FILE] [--num=8] [--guidance=7.5]

A folder is a run on `pocket:nameless`, or holds several, one for each seed, as
`benchmarks.mcti_terms` leaves them. The judge is a small network that was trained on the
renderer's own labels: the file that `tools.pocket.pretrain` leaves in its work folder, or, without
`--judge`, one that is trained now, in minutes. A row says how many pictures have the shape, fill
and colours of their class, and of how many the mean CLIP features of the training photos find the
class, with mean and standard deviation over a folder's runs. Two rows say what to compare these
with: the test photos, and pictures of the same model when it is told the looks in words, both by
the training photos of every run.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from absl import flags
from jaxtyping import Float, Int
from ml_collections import ConfigDict

from common import load_stable_diffusion
from common.config import changed, read_config
from common.errors import UserError, run_command
from common.evaluation.baselines import nearest_class_mean
from common.evaluation.classification import accuracy
from common.evaluation.summaries import summarise
from common.evaluation.tables import markdown_table
from common.pocket.captions import plain_description
from common.pocket.world import NAMELESS, Scene
from mcti_jax import load
from mcti_jax.generation import clip_features
from mcti_jax.material import Material, gather
from mcti_jax.trained import TrainedTokens
from tools.pocket.judge import agreement, read_judge, train_judge
from tools.pocket.recipe import FULL

MODEL, DATA = "pocket", "pocket:nameless"
SEED = 7  # of the pictures
ASPECTS = ("shape", "fill", "body", "mark")
BY_PHOTOS = "by photos"


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


def photos_of(config: ConfigDict) -> Material:
    """Return the photos of a run, and the CLIP that reads them."""
    return gather(changed(config, {"alpha": 0.0}))  # Nothing is denoised.


def found_by_photos(
    photos: Material, features: Float[np.ndarray, "b p"], labels: Int[np.ndarray, " b"]
) -> dict[str, float]:
    """Return how many pictures are nearest to the mean feature of their class's photos."""
    found = nearest_class_mean(photos.train_features, photos.train.labels, features)
    return {BY_PHOTOS: accuracy(found, labels)}


def main(argv: Sequence[str]) -> None:
    """Print the table."""
    del argv
    options = flags.FLAGS
    folders = {name: runs_in(Path(name)) for name in options.runs}
    judge = read_judge(options.judge) if options.judge else train_judge(FULL.judge, FULL.seed)
    scenes = [Scene(species) for species in NAMELESS for _ in range(options.num)]
    labels = np.repeat(np.arange(len(NAMELESS)), options.num)

    # One model for all runs, so that it is loaded and compiled once.
    how = {"n": options.num, "guidance": options.guidance, "seed": SEED}
    draw = partial(load_stable_diffusion(MODEL).draw, **how)

    def figures(pictures: np.ndarray, *draws: Material) -> list[dict[str, float]]:
        judged = agreement(judge, pictures, scenes, *ASPECTS)
        features = clip_features(draws[0].clip, pictures)
        return [judged | found_by_photos(photos, features, labels) for photos in draws]

    photos = {run: photos_of(read_config(run)) for runs in folders.values() for run in runs}
    told = [f"a photo of {plain_description(species)}" for species in NAMELESS]
    rows = {
        "test photos": [
            found_by_photos(each, each.test_features, each.test.labels) for each in photos.values()
        ],
        "told in words": figures(np.stack(draw(told)), *photos.values()),
    }
    for name, runs in folders.items():
        rows[name] = []
        for folder in runs:
            run = load(folder)
            drawn = np.stack(draw(prompts_of(run), tokens=run.words))
            rows[name] += figures(drawn, photos[folder])
    columns = (*ASPECTS, BY_PHOTOS)
    cells = [
        [name, *(summarise(x.get(each) for x in found).show(share=True) for each in columns)]
        for name, found in rows.items()
    ]
    print(markdown_table(["", *(f"{each} (%)" for each in columns)], cells), flush=True)


def prompts_of(run: TrainedTokens) -> list[str]:
    """Return the prompt of each class, in the order of the classes."""
    words = {token.metadata["class"]: token.token for token in run.tokens}
    return [run.config.generate.prompt.replace("{}", words[one.name]) for one in NAMELESS]


if __name__ == "__main__":
    run_command(main, define_flags)
