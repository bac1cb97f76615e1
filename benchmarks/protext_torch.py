"""ProText's training step in PyTorch as the reference does it, on transformers' text tower.

All 77 positions, one row per pair, both encoders in every step. It shares nothing with
`protext_jax`, so the tests hold that package to it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import transformers
from torch.nn.functional import l1_loss, mse_loss, normalize

from common.clip import TextConfig


class TorchStep:
    """Frozen CLIP text tower, learned prompts, AdamW.

    Attributes:
      model: `CLIPTextModelWithProjection`.
      prompts: Leaf tensors P_0 to P_{j-1}, `[t d]` each.
    """

    def __init__(
        self,
        config: TextConfig,
        prompts: np.ndarray,
        rate: float,
        half: bool = False,
        *,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ):
        """Draw random weights of the current torch seed.

        Args:
          config: Sizes of the tower.
          prompts: Where training begins, `[j t d]`.
          rate: AdamW's.
          half: Whether prompts are rounded as the reference does.
          device: Where all of it runs.
          dtype: Of the frozen tower.
        """
        torch_config = transformers.CLIPTextConfig(
            vocab_size=config.vocab_size,
            hidden_size=config.width,
            intermediate_size=config.mlp_width,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            max_position_embeddings=config.positions,
            projection_dim=config.projection,
            hidden_act=config.activation,
            eos_token_id=2,  # pools at the largest id, as OpenAI's code does
            attn_implementation="eager",
        )
        self.model = transformers.CLIPTextModelWithProjection(torch_config)
        self.model.eval().requires_grad_(False).to(device, dtype)
        self.half, self.device = half, device
        self.prompts = [torch.tensor(p, requires_grad=True, device=device) for p in prompts]
        self.optimizer = torch.optim.AdamW(
            self.prompts, lr=rate, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.1
        )

    def disturb(self) -> None:
        """Move biases off zero and norms off one, so that each of them matters."""
        for name, parameter in self.model.named_parameters():
            size = 0.5 if "embedding" in name else 0.1
            parameter.add_(size * torch.randn_like(parameter))

    def state(self) -> dict[str, np.ndarray]:
        """Return the weights under their published names."""
        return {name: x.float().cpu().numpy() for name, x in self.model.state_dict().items()}

    def encode(self, ids: np.ndarray, prompted: bool) -> torch.Tensor:
        """Return unit features `[b p]` of token ids `[b 77]`, with or without prompts."""
        text: Any = self.model.text_model
        tokens = torch.from_numpy(np.asarray(ids, np.int64)).to(self.device)
        batch, length = tokens.shape
        x = text.embeddings.token_embedding(tokens)
        if prompted:
            x = self._overwritten(x, self.prompts[0])
        x = x + text.embeddings.position_embedding.weight[:length]
        mask = torch.full((length, length), float("-inf"), dtype=x.dtype, device=x.device)
        mask = mask.triu(1).expand(batch, 1, length, length)
        for number, layer in enumerate(text.encoder.layers):
            if prompted and 1 <= number < len(self.prompts):
                x = self._overwritten(x, self.prompts[number], self.half)
            x = layer(x, mask)
        x = text.final_layer_norm(x)[torch.arange(batch), tokens.argmax(-1)]
        return normalize(self.model.text_projection(x).float(), dim=-1)

    def loss(self, templates: np.ndarray, sentences: np.ndarray, l1: bool = False) -> torch.Tensor:
        """Return the loss of a batch of token ids; both `[b 77]`."""
        with torch.no_grad():
            target = self.encode(sentences, prompted=False)
        feature = self.encode(templates, prompted=True)
        return l1_loss(feature, target) if l1 else 1000 * mse_loss(feature, target)

    def update(self, templates: np.ndarray, sentences: np.ndarray) -> float:
        """Make one AdamW update; return the loss before it."""
        self.optimizer.zero_grad()
        loss = self.loss(templates, sentences)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def _overwritten(self, x: torch.Tensor, prompt: torch.Tensor, half: bool = False):
        rows = prompt.expand(len(x), -1, -1)
        rows = rows.half() if half else rows
        return torch.cat([x[:, :1], rows.to(x.dtype), x[:, 1 + len(prompt) :]], dim=1)


def published(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the text tower's part of `state`; the projection has a rule of its own."""
    return {name: x for name, x in state.items() if name != "text_projection.weight"}
