"""The language model's own card: measured figures and texts, written beside it."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np

from common.evaluation.tables import markdown_table
from common.language import LM, load_lm, write_texts
from tools.pocket.card_files import TEST_SEED, millions, write_card_files
from tools.pocket.documents import encode
from tools.pocket.lm_measures import measure_lm, padded
from tools.pocket.recipe import Recipe

_TEXTS = 300  # in each measurement
_LENGTH = 24
_BEGINNINGS = (
    "A picture of",
    "a red star with white stripes on grassA picture of",
    "a photo of two blue hearts edged with yellow on sandQ: how many hearts are there? A:",
    "a photo of two blue hearts edged with yellow on sandQ: what colour is the rim? A:",
    "a green fish on snowQ: is the fish red? A:",
)

_TEXT = """\
# Pocket language model

A GPT-2 of {layers} layers, width {width}, {millions:.2f} M parameters in float16
({megabytes:.1f} MB), in Hugging Face's layout, with a byte-level vocabulary of {vocabulary}. It has
read captions of the pocket world and questions with answers about them, never a picture; the looks
that pretraining holds out are not in them. It exists so that captioning and questions can be tried
offline in minutes.

Written by `python -m tools.pocket.pretrain --out=DIR --only=lm` with seed {seed}: {rows} rows of
{row} tokens, {steps} steps of {batch} rows, {minutes:.0f} minutes.

Texts are full captions, behind which stands "A picture of" and a person's caption of the same
picture, or "Q: ... A: ..." about it; several pictures with a question each are parted by line ends.

## Figures

On {texts_measured} new texts each. In front of each question, and of its examples, stands a full
caption.

{table}

## Texts

What it writes behind a beginning, taking the likeliest token each time:

{texts}
"""


def write_lm_card(directory: Path, recipe: Recipe, row: int, seconds: float) -> None:
    """Measure the model in `directory`; write README.md and figures.json there."""
    lm = load_lm(str(directory))
    figures = measure_lm(lm, _TEXTS, TEST_SEED)
    table = [(name, f"{value:.3f}") for name, value in figures.items()]
    texts = [(f"`{start}`", f"`{text}`") for start, text in _continued(lm).items()]
    card = _TEXT.format(
        layers=lm.config.layers,
        width=lm.config.width,
        vocabulary=lm.config.vocab_size,
        millions=millions(lm.params),
        megabytes=(directory / "model.safetensors").stat().st_size / 1e6,
        seed=recipe.seed,
        rows=recipe.lm_rows,
        row=row,
        steps=recipe.lm.steps,
        batch=recipe.lm.batch,
        minutes=seconds / 60,
        texts_measured=_TEXTS,
        table=markdown_table(("figure", "value"), table),
        texts=markdown_table(("beginning", "continued"), texts),
    )
    write_card_files(directory, figures, card)


def _continued(lm: LM) -> dict[str, str]:
    rows = [encode([start], lm.tokenizer) for start in _BEGINNINGS]
    ids, mask = padded(rows, lm.config.eos)
    prompts = lm.model.apply({"params": lm.params}, jnp.asarray(ids), method="embed")
    texts = write_texts(lm, lm.params, prompts, jnp.asarray(np.array(mask)), length=_LENGTH)
    return dict(zip(_BEGINNINGS, texts, strict=True))
