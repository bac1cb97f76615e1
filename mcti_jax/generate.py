"""Draws pictures of learned tokens.

    python -m mcti_jax.generate --workdir=DIR --prompt="a photo of <dog2> on the beach" \\
        --out=FILE.png [--num=4 --steps=25 --guidance=7.5 --seed=0 --sampler=dpmpp_2m]

For example:

    python -m mcti_jax.generate --workdir=runs/mcti --prompt="a photo of a <dog2>" --out=dog.png
"""

from collections.abc import Sequence

import numpy as np
from absl import flags
from jaxtyping import UInt8

from common.checks import check_number
from common.config import read_config
from common.diffusion import SAMPLERS, check_sampling, load_stable_diffusion
from common.diffusion.draw import COUNTS
from common.diffusion.drawing import generate
from common.errors import UserError, run_command
from common.evaluation.figures import image_grid
from common.paths import AnyPath, as_output, as_path
from common.photos.images import to_uint8
from common.pictures import write_png
from common.precision import frozen_dtype, use_precision
from common.text import printable
from common.training import say
from configs.mcti import defaults
from mcti_jax.formats import require_usable, typed_words
from mcti_jax.material import resolution
from mcti_jax.options import RANGES
from mcti_jax.saving import read_run_tokens


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("workdir", None, "Folder of a finished training run.")
    flags.DEFINE_multi_string("prompt", None, "Text with learned words, e.g. <dog2>; repeatable.")
    flags.DEFINE_string("out", None, "PNG file to write.")
    flags.DEFINE_integer("num", 4, "Pictures per prompt.", lower_bound=1)
    flags.DEFINE_integer("steps", 25, "Denoising steps.", lower_bound=1)
    flags.DEFINE_float("guidance", None, "Classifier-free guidance; 1: none; the run's by default.")
    flags.DEFINE_integer("seed", 0, "Of the initial noise, up to 2**64 - 1.", lower_bound=0)
    flags.DEFINE_enum("sampler", "dpmpp_2m", sorted(SAMPLERS), "The method of denoising.")
    flags.mark_flags_as_required(["workdir", "prompt", "out"])


def draw(
    workdir: AnyPath,
    prompts: Sequence[str],
    *,
    num: int = 4,
    steps: int = 25,
    guidance: float | None = None,
    seed: int = 0,
    sampler: str = "dpmpp_2m",
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw one grid with a row per prompt and `num` pictures in each.

    Args:
      workdir: Folder of a finished training run.
      prompts: May hold its words.
      num: Pictures per prompt.
      steps: Denoising steps.
      guidance: Classifier-free guidance, 1 is none; by default the run's own.
      seed: Of the initial noise.
      sampler: A key of `common.diffusion.SAMPLERS`.

    Raises:
      UserError: There is no run, a prompt is too long or holds a word that the run did not learn,
        or the tokens or the sampler do not fit the model.
    """
    config = read_config(workdir, defaults())
    use_precision(config.dtype)
    guidance = config.generate.guidance if guidance is None else guidance
    check_number("--num", num, COUNTS["n"])
    check_number("--guidance", guidance, RANGES["generate.guidance"])
    check_number("--seed", seed, COUNTS["seed"])
    check_number("generate.batch", config.generate.batch, RANGES["generate.batch"])
    for text in prompts:
        check_text(text)
    tokens = read_run_tokens(workdir)
    words = typed_words(tokens)
    sd = load_stable_diffusion(config.model, frozen_dtype(config.dtype))
    require_usable(tokens, sd.text_tower.config.width, config.model)
    check_sampling(sd.schedule, sampler, steps)
    images = generate(
        sd,
        [text for text in prompts for _ in range(num)],
        words,
        size=resolution(config, sd),
        sampler=sampler,
        steps=steps,
        guidance=guidance,
        batch=min(config.generate.batch, num * len(prompts)),
        seed=seed,
    )
    labels = [printable(text) for text in prompts]
    return image_grid(to_uint8(images).reshape(len(prompts), num, *images.shape[1:]), labels)


def check_text(prompt: str) -> None:
    """Refuse a prompt that is not UTF-8, as a terminal of another encoding sends it.

    Raises:
      UserError: It shows the prompt.
    """
    try:
        prompt.encode("utf-8")
    except UnicodeEncodeError:
        raise UserError(f"--prompt={prompt!a} is not UTF-8: type it in a UTF-8 terminal.") from None


def main(argv: Sequence[str]) -> None:
    """Read the run's tokens, sample, and write one grid with a row per prompt."""
    del argv
    options = flags.FLAGS
    out = as_output(options.out, "--out", ".png")
    grid = draw(
        as_path(options.workdir),
        options.prompt,
        num=options.num,
        steps=options.steps,
        guidance=options.guidance,
        seed=options.seed,
        sampler=options.sampler,
    )
    write_png(out, grid)
    say(f"wrote {out}")


if __name__ == "__main__":
    run_command(main, define_flags)
