"""Draws pictures of learned tokens.

    python -m mcti_jax.generate --workdir=DIR --prompt="a photo of <dog2> on the beach" \\
        --out=FILE.png [--num=4 --steps=25 --guidance=7.5 --seed=0 --sampler=dpmpp_2m]

For example:

    python -m mcti_jax.generate --workdir=runs/mcti --prompt="a photo of a <dog2>" --out=dog.png
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from common.config import read_config
from common.diffusion import SAMPLERS, load_stable_diffusion
from common.errors import UserError, run_command
from common.evaluation.figures import image_grid, write_png
from common.precision import frozen_dtype
from common.training import say
from configs.mcti import pocket
from mcti_jax.formats import read_tokens
from mcti_jax.generation import generate, to_uint8
from mcti_jax.material import resolution
from mcti_jax.prompts import check_words


def define_flags() -> None:
    """The command's options."""
    flags.DEFINE_string("workdir", None, "Folder of a finished training run.")
    flags.DEFINE_multi_string("prompt", None, "Text with learned words, e.g. <dog2>; repeatable.")
    flags.DEFINE_string("out", None, "PNG file to write.")
    flags.DEFINE_integer("num", 4, "Pictures per prompt.", lower_bound=1)
    flags.DEFINE_integer("steps", 25, "Denoising steps.", lower_bound=1)
    flags.DEFINE_float("guidance", None, "Classifier-free guidance, 1 is none; the run's own.")
    flags.DEFINE_integer("seed", 0, "Seed of the initial noise.")
    flags.DEFINE_enum("sampler", "dpmpp_2m", sorted(SAMPLERS), "How the noise is taken out.")
    flags.mark_flags_as_required(["workdir", "prompt", "out"])


def main(argv: Sequence[str]) -> None:
    """Reads the run's tokens, samples, writes one grid with a row per prompt."""
    del argv
    options = flags.FLAGS
    config = read_config(Path(options.workdir), pocket())
    out = Path(options.out)
    if out.suffix.lower() != ".png":
        raise UserError(f"--out={out} must end in .png.")
    words = {t.token: t.vectors for t in read_tokens(Path(options.workdir) / "tokens")}
    check_words(options.prompt, words)
    sd = load_stable_diffusion(config.model, frozen_dtype(config.dtype))
    images = generate(
        sd,
        [text for text in options.prompt for _ in range(options.num)],
        words,
        size=resolution(config, sd),
        sampler=options.sampler,
        steps=options.steps,
        guidance=config.generate.guidance if options.guidance is None else options.guidance,
        batch=min(config.generate.batch, options.num * len(options.prompt)),
        seed=options.seed,
    )
    rows = to_uint8(images).reshape(len(options.prompt), options.num, *images.shape[1:])
    write_png(out, image_grid(rows, options.prompt))
    say(f"wrote {out}")


if __name__ == "__main__":
    run_command(main, define_flags)
