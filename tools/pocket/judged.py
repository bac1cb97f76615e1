"""What drawn pictures show, by a judge that is not CLIP."""

from typing import Any

from common.diffusion import StableDiffusion
from common.pocket.captions import plain_description
from common.pocket.renderer import render
from common.pocket.world import ANONYMOUS, BACKGROUNDS, NAMED, UNSEEN, Scene
from tools.pocket.judge import agreement
from tools.pocket.measures import generate, photos_of, reconstructions, some_of

_LOOK = ("shape", "fill", "body", "mark")


def measure_judged(sd: StableDiffusion, judge: Any, count: int, seed: int) -> dict[str, float]:
    """Measure how often pictures show the shape, fill, colours and ground that was asked for.

    Photos and what the VAE makes of them come first: no drawn picture can do better.

    Args:
      sd: What draws.
      judge: Parameters of the judge.
      count: Pictures of each kind.
      seed: Of the looks and the pictures.
    """
    photos = [
        scene
        for scene in photos_of(some_of(ANONYMOUS, count, seed), 3 * count, seed)
        if scene.arrangement == "single"
    ]
    pixels = render(photos)
    figures = _named("photos", agreement(judge, pixels, photos))
    figures |= _named("after_the_vae", agreement(judge, reconstructions(sd, pixels), photos))
    for name, species in (("seen_looks", ANONYMOUS), ("unseen_looks", UNSEEN)):
        chosen = some_of(species, count, seed)
        prompts = [f"a photo of {plain_description(each)}" for each in chosen]
        scenes = [Scene(each) for each in chosen]
        figures |= _named(name, agreement(judge, generate(sd, prompts, seed), scenes, *_LOOK))
    named = some_of(NAMED, count, seed)
    scenes = [Scene(each, BACKGROUNDS[n % len(BACKGROUNDS)]) for n, each in enumerate(named)]
    prompts = [f"a photo of a {scene.species.name} on {scene.background}" for scene in scenes]
    return figures | _named("by_name", agreement(judge, generate(sd, prompts, seed), scenes))


def _named(name: str, figures: dict[str, float]) -> dict[str, float]:
    return {f"judged/{name}/{aspect}": value for aspect, value in figures.items()}
