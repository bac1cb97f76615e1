"""A Stable Diffusion's text encoders one by one, each with its tokenizer and token table."""

from dataclasses import dataclass

from common.clip.text import TextTower
from common.clip.tokenizer import Tokenizer
from common.diffusion import StableDiffusion
from common.trees import Leaf, Params
from mcti_jax.widths import Widths


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
