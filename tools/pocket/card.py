"""The model card: measured figures and a grid of samples, written beside the models."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from common.clip import CLIP, load_clip
from common.diffusion import StableDiffusion, load_stable_diffusion
from common.evaluation.figures import image_grid
from common.evaluation.tables import markdown_table
from common.pictures import write_png
from common.pocket.captions import plain_description
from common.pocket.renderer import render
from common.pocket.world import NAMED, UNSEEN, Species
from tools.pocket.card_files import TEST_SEED, millions, write_card_files
from tools.pocket.corpus import RARE_SHARE, SHIFT_SHARE
from tools.pocket.judged import measure_judged
from tools.pocket.measures import generate, measure_clip, measure_sd, photos_of, reconstructions
from tools.pocket.recipe import Recipe

_COLUMNS = 8
_SHARE_JUDGED = 5
"""One drawn picture of the judge for so many test pictures."""

_TEXT = """\
# Pocket models

A CLIP and a Stable Diffusion for 32x32 pictures of the pocket world (`common/pocket/world.py`):
shapes with fills and two colours, 400 of the combinations with made-up names. They exist so
that every method of this repository runs from a fresh checkout, offline, in minutes. They know
nothing but that world.

- `clip/`: Hugging Face layout; {clip_millions:.2f} M parameters; towers of 4 layers, width 128.
- `sd/`: diffusers layout; UNet {unet_millions:.2f} M, VAE {vae_millions:.2f} M parameters
  (latents 8x8x8); text encoder = the text tower of `clip/`; Stable Diffusion's noise schedule.
- `lm/`: a language model of that world, with [a card of its own](lm/README.md).
- `siglip/`: a SigLIP of that world, `pocket:siglip`, with [a card of its own](siglip/README.md).

{megabytes:.1f} MB without these two, in float16. Written by `python -m tools.pocket.pretrain` with
seed {seed}: {corpus} captioned pictures, {clip_steps} + {vae_steps} + {unet_steps} steps
({minutes}){limit}.

## Held out

The classes of `pocket:nameless` (names, looks, and everything that shares their shape and both
colours) and a twentieth of all other looks never occur in pretraining; {shifts} of the pictures
are sketches or neon signs. The classes of `pocket:rare` and `pocket:second` make up {rare} of the
pictures, and nothing else has their looks.

## Figures

On {test_size} new pictures each; of drawn ones on 100, and for the judge on {judged}. "By name" is
"a photo of a NAME", "by description" is "a photo of a red star with white stripes". Names of
`nameless` are unknown to the models; chance is 0.05 there. Retrieval: the picture's own caption
among 100. Generated accuracy: CLIP finds the generated picture closest to its own description among
100. Errors are on the scale of pixels in [0, 1], and of noise of unit variance. Spread: the best
minus the worst of seven templates.
Judged: a small convolutional network, trained on the renderer's own labels, says what shape, fill,
colours and ground a picture shows; the figures of photos are its own accuracy.

{table}

## Samples

![samples](samples.png)
"""


def write_card(directory: Path, recipe: Recipe, seconds: Mapping[str, float], judge: Any) -> None:
    """Measure the models in `directory`; write README.md, figures.json and samples.png there."""
    clip = load_clip(str(directory / "clip"))
    sd = load_stable_diffusion(str(directory / "sd"))
    figures = measured(clip, sd, judge, recipe.test_size)
    write_png(directory / "samples.png", sample_grid(sd))
    rows = [(name, f"{value:.3f}") for name, value in figures.items()]
    text = _TEXT.format(
        clip_millions=millions(clip.params),
        unet_millions=millions(sd.params["unet"]),
        vae_millions=millions(sd.params["vae"]),
        megabytes=_megabytes(directory),
        seed=recipe.seed,
        corpus=recipe.corpus,
        clip_steps=recipe.clip.steps,
        vae_steps=recipe.vae.steps,
        unet_steps=recipe.unet.steps,
        rare=f"{RARE_SHARE:.1%}",
        shifts=f"{2 * SHIFT_SHARE:.1%}",
        minutes=", ".join(f"{name} {value / 60:.0f} min" for name, value in seconds.items()),
        limit=_limit(recipe),
        test_size=recipe.test_size,
        judged=recipe.test_size // _SHARE_JUDGED,
        table=markdown_table(("figure", "value"), rows),
    )
    write_card_files(directory, figures, text)


def measured(clip: CLIP, sd: StableDiffusion, judge: Any, test_size: int) -> dict[str, float]:
    """Measure both models; `judge` are the parameters of what looks at drawn pictures."""
    return {
        **measure_clip(clip, test_size, TEST_SEED),
        **measure_sd(clip, sd, test_size, TEST_SEED),
        **measure_judged(sd, judge, test_size // _SHARE_JUDGED, TEST_SEED),
    }


def sample_grid(sd: StableDiffusion) -> UInt8[np.ndarray, "height width 3"]:
    """Return photos, their reconstructions, and pictures drawn by name and by description."""
    first, second, unseen = NAMED[0], NAMED[1], UNSEEN[len(UNSEEN) // 2]
    photos = render(photos_of([first], _COLUMNS, TEST_SEED))
    rows = {
        f"photos of {first.name}: {plain_description(first)}": photos,
        "the same after the VAE": reconstructions(sd, photos),
    }
    for prompt, about in (
        (f"a photo of a {first.name}", first),
        (f"a photo of a {second.name} on sand", second),
        (f"a painting of {plain_description(second)}", None),
        (f"a photo of {plain_description(unseen)}", None),
        ("", None),
    ):
        rows[_label(prompt, about)] = generate(sd, [prompt] * _COLUMNS, TEST_SEED)
    return image_grid(np.stack(list(rows.values())), list(rows))


def _label(prompt: str, about: Species | None) -> str:
    return f"{prompt!r}, i.e. {plain_description(about)}" if about else f"{prompt!r}"


def _limit(recipe: Recipe) -> str:
    within = f", within {recipe.seconds:.0f} s" if recipe.seconds else ""
    return f"{within}, going on from models of less training" if recipe.start else within


def _megabytes(directory: Path) -> float:
    files = [file for part in ("clip", "sd") for file in (directory / part).rglob("*")]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6
