"""The SigLIP's own card: its figures beside those of the CLIP that it started from."""

from pathlib import Path

from common.clip import CLIP, load_clip
from common.evaluation.tables import markdown_table
from tools.pocket.card_files import TEST_SEED, millions, write_card_files
from tools.pocket.measures import measure_clip
from tools.pocket.recipe import Recipe

_TEXT = """\
# Pocket SigLIP

A SigLIP for 32x32 pictures of the pocket world, in Hugging Face's layout: {millions:.2f} M
parameters in float16 ({megabytes:.1f} MB), towers of {layers} layers, width {width}. A head pools
{patches} patches by attention; the text tower is bidirectional, has {positions} positions and is
read at the last of them; a unigram tokenizer has {words} pieces. As a model it is called
`pocket:siglip`. It exists so that ProText and AAPE run on a SigLIP offline, in minutes.

Written by `python -m tools.pocket.pretrain --out=DIR --only=siglip` with seed {seed}: at most
{steps} steps of {batch} out of {corpus} captioned pictures{limit}, with SigLIP's sigmoid
loss ({minutes:.0f} min). It does not start from nothing: blocks, norms, patches and rows of words
are those of the pocket CLIP at first; the pooling head and all else are drawn. What the
pretraining of the other models holds out is held out here.

## Figures

On {test_size} new pictures each, as [the other models' card](../README.md) explains them; beside
them those of the CLIP that it started from.

{table}
"""


def write_siglip_card(directory: Path, clip: CLIP, recipe: Recipe, seconds: float) -> None:
    """Measure the SigLIP in `directory`; write README.md and figures.json there.

    Args:
      directory: Holds the SigLIP.
      clip: What it started from.
      recipe: Of its training.
      seconds: That its training took.
    """
    siglip = load_clip(str(directory))
    figures = measure_clip(siglip, recipe.test_size, TEST_SEED, "siglip")
    beside = measure_clip(clip, recipe.test_size, TEST_SEED, "siglip")
    rows = [(name, f"{value:.3f}", f"{beside[name]:.3f}") for name, value in figures.items()]
    text, vision = siglip.config.text, siglip.config.vision
    card = _TEXT.format(
        millions=millions(siglip.params),
        megabytes=(directory / "model.safetensors").stat().st_size / 1e6,
        layers=text.layers,
        width=text.width,
        patches=vision.grid[0],
        positions=text.positions,
        words=text.vocab_size,
        seed=recipe.seed,
        steps=recipe.siglip.steps,
        batch=recipe.siglip.batch,
        corpus=recipe.siglip_corpus,
        minutes=seconds / 60,
        limit=f", within {recipe.allowed('siglip'):.0f} s" if recipe.seconds else "",
        test_size=recipe.test_size,
        table=markdown_table(("figure", "SigLIP", "CLIP"), rows),
    )
    write_card_files(directory, figures, card)
