"""The sizes of a decoder-only language model, and what tells GPT-2 from GPT-J."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LMConfig:
    """A GPT; the defaults are GPT-2's form.

    Attributes:
      vocab_size: Rows of the embedding table.
      width: Channels of the hidden states.
      layers: Residual blocks.
      heads: Attention heads.
      mlp_width: Channels inside the MLP.
      positions: Longest sequence.
      activation: A key of `common.language.layers.ACTIVATIONS`.
      eps: Of the layer norms.
      rotary: Channels of each head that are rotated by the position, as GPT-J does it; 0 adds
        learned position embeddings to the tokens instead.
      parallel: Whether attention and MLP read the same normalised input and are added together.
      attention_bias: Whether the attention's maps have biases.
      tied: Whether the logits are products with the token embeddings; otherwise a layer of
        their own, with bias.
      eos: Id of the token that ends a text.
    """

    vocab_size: int
    width: int
    layers: int
    heads: int
    mlp_width: int
    positions: int
    activation: str = "gelu_new"
    eps: float = 1e-5
    rotary: int = 0
    parallel: bool = False
    attention_bias: bool = True
    tied: bool = True
    eos: int = 50256

    @property
    def head_width(self) -> int:
        """Channels of one head."""
        return self.width // self.heads


def _gpt2(width: int, layers: int, heads: int) -> LMConfig:
    return LMConfig(50257, width, layers, heads, 4 * width, 1024)


KNOWN: dict[str, LMConfig] = {
    "openai-community/gpt2": _gpt2(768, 12, 12),
    "openai-community/gpt2-medium": _gpt2(1024, 24, 16),
    "openai-community/gpt2-large": _gpt2(1280, 36, 20),
    "openai-community/gpt2-xl": _gpt2(1600, 48, 25),
    "EleutherAI/gpt-j-6b": LMConfig(
        50400, 4096, 28, 16, 16384, 2048,
        rotary=64, parallel=True, attention_bias=False, tied=False,
    ),
}  # fmt: skip
"""Published sizes, for compiling without their weights."""
