"""Pictures of what the tokens draw while they are learned."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from ml_collections import ConfigDict

from common.diffusion import StableDiffusion, check_sampling
from common.diffusion.text_encoding import vocabularies_of
from common.diffusion.words import tell_unbracketed
from common.errors import UserError
from common.evaluation.figures import image_grid
from common.text import printable
from mcti_jax.formats import token_words
from mcti_jax.generation import draw_texts
from mcti_jax.readers import widths_of
from mcti_jax.widths import by_encoder


def preview_texts(
    config: ConfigDict, classnames: Sequence[str], learned: Sequence[int]
) -> list[str]:
    """Return what is drawn: each prompt, or where it has `{}`, one text for each class.

    Args:
      config: The run's.
      classnames: Of all classes.
      learned: The classes that are learned.
    """
    options = config.preview
    words = token_words(classnames)
    shown = learned[: options.classes or None]
    texts = []
    for prompt in options.prompts:
        chosen = [words[number] for number in shown] if "{}" in prompt else [""]
        texts += [prompt.replace("{}", word) for word in chosen]
    return texts


def check_preview(
    config: ConfigDict,
    sd: StableDiffusion,
    classnames: Sequence[str],
    learned: Sequence[int],
) -> None:
    """Refuse previews that could not be drawn, before anything is trained.

    Args:
      config: The run's.
      sd: What draws.
      classnames: Of all classes.
      learned: The classes that are learned.

    Raises:
      UserError: The sampler does not fit the model, or a prompt is missing, too long, or names a
        word that no class has.
    """
    if not config.preview_every:
        return
    check_sampling(sd.schedule, config.generate.sampler, config.generate.steps)
    texts = preview_texts(config, classnames, learned)
    if not texts:
        raise UserError("preview.prompts is empty: name what is drawn, or set preview_every=0.")
    widths = widths_of(sd)
    vectors = by_encoder(np.zeros((config.vectors, sum(widths)), np.float32), widths)
    tell_unbracketed(config.preview.prompts, token_words(classnames))
    for known in vocabularies_of(sd, dict.fromkeys(token_words(classnames), vectors)):
        for text in texts:
            known.embedded(text)


def draw_preview(
    config: ConfigDict,
    sd: StableDiffusion,
    tokens: Float[np.ndarray, "k n d"],
    classnames: Sequence[str],
    learned: Sequence[int],
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw a row for each text, with the same noise whenever it is called.

    Args:
      config: The run's.
      sd: What draws.
      tokens: Vectors of all classes.
      classnames: Theirs.
      learned: The classes that are learned.
    """
    options, texts = config.preview, preview_texts(config, classnames, learned)
    words = dict(zip(token_words(classnames), tokens, strict=True))
    rows = draw_texts(config, sd, texts, words, options.number, options.seed)
    return image_grid(rows, [printable(text) for text in texts])
