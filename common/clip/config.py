"""Sizes of CLIP's towers."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

HEAD_WIDTH = 64
"""Channels of an attention head, of every tower that says nothing else."""


@dataclass(frozen=True)
class TextConfig:
    """The text tower.

    Attributes:
      vocab_size: Rows of the embedding table.
      width: Channels of the hidden states.
      layers: Residual blocks.
      heads: Attention heads.
      mlp_width: Channels inside the MLP.
      positions: Longest sequence, start and end tokens included.
      activation: A key of `common.clip.layers.ACTIVATIONS`.
      eps: Of the layer norms; CLIP's features are far off with another value.
      projection: Width of the space shared with images; None where the tower has none.
      bos: Id of the start token; None where texts begin with their first word.
      eos: Id of the end token.
      pad: Id that fills a sequence up.
      pool: Where these weights' own library pools: a `how` of `text.pool_positions`.
      causal: Whether a position sees itself and those before it alone, as in CLIP.
      projection_bias: Whether the projection adds a bias.
    """

    vocab_size: int
    width: int
    layers: int
    heads: int
    mlp_width: int
    positions: int = 77
    activation: str = "quick_gelu"
    eps: float = 1e-5
    projection: int | None = None
    bos: int | None = 49406
    eos: int = 49407
    pad: int = 49407
    pool: str = "eos"
    causal: bool = True
    projection_bias: bool = False

    @property
    def first(self) -> int:
        """Position of a text's first word."""
        return 0 if self.bos is None else 1

    def __repr__(self) -> str:
        # A part of weights' fingerprints, which the usual value of a younger field must not change.
        younger = {"causal": True, "projection_bias": False}
        fields = [
            f"{name}={value!r}"
            for name, value in vars(self).items()
            if name not in younger or value != younger[name]
        ]
        return f"{type(self).__name__}({', '.join(fields)})"


@dataclass(frozen=True)
class MetaCLIP2TextConfig(TextConfig):
    """CLIP's text tower, for the words of many languages."""

    __repr__ = TextConfig.__repr__


@dataclass(frozen=True)
class ViTConfig:
    """A vision transformer; the fields are `TextConfig`'s, the sizes in pixels."""

    image_size: int
    patch_size: int
    width: int
    layers: int
    heads: int
    mlp_width: int
    projection: int
    activation: str = "quick_gelu"
    eps: float = 1e-5

    @property
    def grid(self) -> tuple[int, int]:
        """Cells of `ImageOutput.grid`, and the channels of each."""
        return (self.image_size // self.patch_size) ** 2, self.width


@dataclass(frozen=True)
class SigLIPViTConfig(ViTConfig):
    """A vision transformer without class token; the space shared with texts has its width."""

    activation: str = "gelu_pytorch_tanh"
    eps: float = 1e-6


@dataclass(frozen=True)
class CLIPAViTConfig(ViTConfig):
    """A vision transformer without a norm ahead of its blocks, whose feature is a mean."""

    activation: str = "gelu"


@dataclass(frozen=True)
class ResNetConfig:
    """A ModifiedResNet.

    Attributes:
      image_size: In pixels, a multiple of 32.
      layers: Bottleneck blocks of each of the four stages.
      width: Channels of the stem; the last stage has 32 times as many.
      heads: Of the attention pool.
      projection: Width of the space shared with texts.
      eps: Of the batch norms.
    """

    image_size: int
    layers: tuple[int, int, int, int]
    width: int
    heads: int
    projection: int
    eps: float = 1e-5

    @property
    def grid(self) -> tuple[int, int]:
        """Cells of `ImageOutput.grid`, and the channels of each."""
        return (self.image_size // 32) ** 2, 32 * self.width


@runtime_checkable
class VisionConfig(Protocol):
    """What every image tower's configuration says.

    Attributes:
      image_size: In pixels.
      layers: Of the tower; a single number if all are alike.
      projection: Width of the space shared with texts.
    """

    image_size: int
    layers: int | tuple[int, ...]
    projection: int

    @property
    def grid(self) -> tuple[int, int]:
        """Cells of `ImageOutput.grid`, and the channels of each."""
        ...


@dataclass(frozen=True)
class CLIPConfig:
    """Both towers."""

    text: TextConfig
    vision: VisionConfig
