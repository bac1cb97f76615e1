"""A Stable Diffusion's text encoders one by one, each with its tokenizer and token table."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ml_collections import ConfigDict

from common.clip import CLIP
from common.clip.text import TextTower, require_causal
from common.clip.tokenizer import Tokenizer
from common.diffusion import StableDiffusion
from common.errors import UserError
from common.trees import Leaf, Params
from mcti_jax.widths import Widths, encoder_of_width, listed, split


@dataclass(frozen=True)
class TextReader:
    """What reads prompts; the fields are called as a CLIP's, which can stand for it.

    Attributes:
      text_tower: The network.
      tokenizer: Text to its ids.
      params: `{"text": ...}`.
      name: Key of its vectors in files of learned words for XL.
    """

    text_tower: TextTower
    tokenizer: Tokenizer
    params: Params
    name: str

    @property
    def table(self) -> Leaf:
        """Its token embeddings `[v d]`."""
        return self.params["text"]["token_embedding"]


def readers_of(sd: StableDiffusion) -> tuple[TextReader, ...]:
    """Return what reads prompts for a model, in the order in which the U-Net takes the states."""
    return tuple(
        TextReader(
            encoder.tower,
            tokenizer,
            {"text": sd.params[encoder.part.params]},
            encoder.part.vectors,
        )
        for encoder, tokenizer in zip(sd.modules.text_encoders, sd.tokenizers, strict=True)
    )


def widths_of(sd: StableDiffusion) -> Widths:
    """Return the widths of a model's text encoders' inputs."""
    return tuple(encoder.tower.config.width for encoder in sd.modules.text_encoders)


def require_same_width(sd: StableDiffusion, clip: CLIP, config: ConfigDict) -> None:
    """Refuse a CLIP that none of the text encoders is of: tokens are used in both, as they are.

    Of XL the last encoder of CLIP's text width makes the class feature.

    Raises:
      UserError: It names both models and what does not fit.
    """
    clip_sizes, encoders = clip.text_tower.config, sd.modules.text_encoders
    for encoder in encoders:
        require_causal(encoder.tower.config, f"model={config.model!r}: MC-TI")
    require_causal(clip_sizes, f"clip={config.clip!r}: MC-TI")
    widths = widths_of(sd)
    number = encoder_of_width(widths, clip_sizes.width)
    if number is None:
        has = "width" if len(widths) == 1 else "widths"
        raise UserError(
            f"model={config.model!r} has text {has} {listed(widths)} but clip={config.clip!r} has "
            f"{clip_sizes.width}: choose the CLIP whose text tower this Stable Diffusion uses."
        )
    ours, clips = ((words.bos, words.eos) for words in (sd.tokenizers[number], clip.tokenizer))
    if ours != clips:
        raise UserError(
            f"model={config.model!r} begins and ends its texts with the tokens {listed(ours)} but "
            f"clip={config.clip!r} with {listed(clips)}: choose the CLIP whose text tower this "
            "Stable Diffusion uses."
        )
    projected = encoders[number].tower.config.projection
    if projected not in (None, clip_sizes.projection):
        raise UserError(
            f"model={config.model!r} has a text projection to {projected} but "
            f"clip={config.clip!r} has one to {clip_sizes.projection}: choose the CLIP whose text "
            "tower this Stable Diffusion uses."
        )


def class_reader(
    config: ConfigDict, clip: CLIP, sd: Callable[[], StableDiffusion]
) -> TextReader | CLIP:
    """Return what reads prompts for class features: CLIP, or what `class_tower` says.

    Args:
      config: The run's.
      clip: Its CLIP.
      sd: Gives its Stable Diffusion, which is asked for only if that reads them.
    """
    if config.class_tower != "sd":
        return clip
    model = sd()
    return readers_of(model)[_own_encoder(clip, widths_of(model))]


def read_by(clip: CLIP, vectors: Any, widths: Widths) -> Any:
    """Return the part of vectors `[... D]` that the text encoder reads which is CLIP's own."""
    return split(vectors, widths)[_own_encoder(clip, widths)]


def _own_encoder(clip: CLIP, widths: Widths) -> int:
    return encoder_of_width(widths, clip.text_tower.config.width)
