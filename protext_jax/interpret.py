"""Prints the words nearest to the learned vectors, as section 6 of the paper on CoOp does.

    python -m protext_jax.interpret --workdir=DIR [--words=5] [--run=N]

Only the vectors of the first block stand in the place of words. Those of deeper blocks replace
hidden states, so their nearest words have little meaning.

For example:

    python -m protext_jax.interpret --workdir=runs/protext --words=3
"""

from collections.abc import Sequence

from absl import flags

from common.errors import UserError, run_command
from common.evaluation.tables import markdown_table
from common.hub import local_run
from common.lazy import lazily

__all__, __getattr__, __dir__ = lazily(__name__, {"protext_jax.words": ("nearest_words",)})


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("workdir", None, "Folder of a finished training run.", required=True)
    flags.DEFINE_integer("words", 5, "How many words for each vector.", lower_bound=1)
    flags.DEFINE_integer("run", None, "Of a sweep: which of its runs.", lower_bound=0)


def main(argv: Sequence[str]) -> None:
    """Print a table with a row per vector."""
    # Imported once the flags are in order, so that help and mistakes show at once.
    from common.clip import load_clip
    from common.precision import use_precision
    from protext_jax.files import read_run_prompts
    from protext_jax.words import nearest_words

    del argv
    options = flags.FLAGS
    workdir = local_run(options.workdir)
    config, learned = read_run_prompts(workdir, options.run)
    use_precision(config.dtype)
    if "prompts" not in learned.arrays:
        raise UserError(f"{workdir} trained an adapter, which has no prompts to interpret.")
    clip = load_clip(config.model, config.dtype, image_size=config.image_size)
    learned.require_model(clip)
    rows = [
        [str(layer), str(place), ", ".join(f"{word} {cosine:.2f}" for word, cosine in words)]
        for layer, block in enumerate(nearest_words(clip, learned.arrays["prompts"], options.words))
        for place, words in enumerate(block)
    ]
    print(markdown_table(["block", "vector", "nearest words, cosine"], rows))


if __name__ == "__main__":
    run_command(main, define_flags)
