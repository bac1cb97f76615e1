"""Draws pictures of learned tokens and of other embeddings.

    python -m mcti_jax.generate --workdir=DIR --prompt="a photo of <dog2> on the beach" \\
        --out=FILE.png [--num=4 --steps=25 --guidance=7.5 --seed=0 --sampler=dpmpp_2m]
        [--negative=TEXT] [--width=W --height=H]

`--negative` says what the pictures must not show; `--width` and `--height` are in pixels.
`--model` names a Stable Diffusion in place of the run's, and `--embedding` a file or folder of
words of any tool; with these no run is needed. `--weighted` reads prompts as web UIs do:
`(word:1.3)` weighs a word, and a long prompt is taken in chunks. `--pictures=FOLDER` writes each
picture by itself. A PNG says what it was drawn from, and `--again=FILE.png` draws it once more.

For example:

    python -m mcti_jax.generate --workdir=runs/mcti --prompt="a photo of a <dog2>" --out=dog.png
"""

from collections.abc import Sequence

from absl import flags

from common.diffusion.names import SAMPLER_NAMES
from common.errors import UserError, run_command
from common.lazy import lazily
from common.paths import as_output, as_output_folder
from common.progress import say
from common.text import counted

__all__, __getattr__, __dir__ = lazily(__name__, {"mcti_jax.drawing": ("draw", "draw_prompts")})


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("workdir", None, "Folder of a finished training run.")
    flags.DEFINE_string("model", None, "Stable Diffusion; the run's by default.")
    flags.DEFINE_multi_string(
        "embedding", [], "File or folder of learned words, of any tool; repeatable."
    )
    flags.DEFINE_multi_string("prompt", None, "Text with learned words, e.g. <dog2>; repeatable.")
    flags.DEFINE_string("negative", "", "What the pictures must not show.")
    flags.DEFINE_boolean(
        "weighted", False, "Read prompts as web UIs do: (word:1.3), (word), [word], any length."
    )
    flags.DEFINE_string("out", None, "PNG file to write, with a row for each prompt.")
    flags.DEFINE_string("pictures", None, "Folder to write a PNG of each picture into.")
    flags.DEFINE_string("again", None, "PNG of this command, to draw with its own settings.")
    flags.DEFINE_integer("num", 4, "Pictures per prompt.", lower_bound=1)
    flags.DEFINE_integer("steps", 25, "Denoising steps.", lower_bound=1)
    flags.DEFINE_float("guidance", None, "Classifier-free; to 1: none; the run's by default.")
    flags.DEFINE_integer("seed", 0, "Of the initial noise, up to 2**64 - 1.", lower_bound=0)
    flags.DEFINE_enum(
        "sampler", None, sorted(SAMPLER_NAMES), "The method of denoising; dpmpp_2m, or XL's own."
    )
    flags.DEFINE_integer("width", None, "In pixels; by default that of the training pictures.")
    flags.DEFINE_integer("height", None, "Likewise.")


def main(argv: Sequence[str]) -> None:
    """Read the words, sample, and write one grid with a row per prompt, or each picture."""
    # Imported once the flags are in order, so that help and mistakes show at once.
    from mcti_jax.drawing import draw_asked

    del argv
    options = flags.FLAGS
    if not (options.out or options.pictures):
        raise UserError("there is neither --out nor --pictures: name a PNG file or a folder.")
    out = options.out and as_output(options.out, "--out", ".png")
    folder = options.pictures and as_output_folder(options.pictures, "--pictures")
    sheet = draw_asked()
    if out:
        sheet.write(out)
        say(f"wrote {out}")
    if folder:
        count = len(list(sheet.write_each(folder)))
        say(f"wrote {counted(count, 'picture')} into {folder}")


if __name__ == "__main__":
    run_command(main, define_flags)
