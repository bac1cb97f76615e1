"""The denoising network of Stable Diffusion 1.x, 2.x and XL.

Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models" (CVPR 2022);
the counterpart of diffusers' `UNet2DConditionModel`.
"""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Real

from common.diffusion.added import AddedConditions, AddedEmbedding, sinusoids
from common.diffusion.config import UNetConfig
from common.diffusion.resnet import Execution, conv3x3, group_norm
from common.diffusion.unet_blocks import EPSILON, DownLevel, MidLevel, UpLevel


class UNet(nn.Module):
    """Predicts the noise (or the velocity) in noisy latents, given a text.

    Attributes:
      dtype: Of activations and matrix products; statistics and softmax stay float32.
      attention: A key of `common.attention.IMPLEMENTATIONS`.
      remat: What the backward pass recomputes: "none", "attention" or "block" (see
        `Execution`).
    """

    config: UNetConfig
    dtype: DTypeLike = jnp.float32
    attention: str = "plain"
    remat: str = "none"

    @nn.compact
    def __call__(
        self,
        latents: Float[Array, "b h w c"],
        timesteps: Real[Array, "b"],
        text_states: Float[Array, "b s d"],
        added: AddedConditions | None = None,
    ) -> Float[Array, "b h w c2"]:
        """Return the prediction in float32.

        Args:
          latents: Scaled to unit variance, with noise added.
          timesteps: Of the noise, 0 to 999; fractions are allowed.
          text_states: Of the text encoder, or of both, at all positions.
          added: What XL is conditioned on besides.
        """
        config, run = self.config, Execution(self.dtype, self.attention, self.remat)
        widths, levels = config.block_out_channels, len(config.block_out_channels)
        time = sinusoids(timesteps, widths[0]).astype(self.dtype)
        time = nn.Dense(4 * widths[0], dtype=self.dtype, name="time_1")(time)
        time = nn.Dense(4 * widths[0], dtype=self.dtype, name="time_2")(nn.silu(time))
        if config.addition_embed_type is not None:
            embedding = AddedEmbedding(
                4 * widths[0], config.addition_time_embed_dim, self.dtype, name="added"
            )
            time = time + embedding(added)
        text_states = text_states.astype(self.dtype)

        x = conv3x3(widths[0], run, "conv_in")(latents.astype(self.dtype))
        skips = [x]
        for i, kind in enumerate(config.down_block_types):
            skips += DownLevel(
                features=widths[i],
                heads=config.heads[i] if kind.startswith("CrossAttn") else 0,
                groups=config.norm_num_groups,
                run=run,
                depth=config.depths[i],
                layers=config.layers_per_block,
                resample=i < levels - 1,
                name=f"down_{i}",
            )(skips[-1], time, text_states)
        x = MidLevel(
            features=widths[-1],
            heads=config.heads[-1],
            groups=config.norm_num_groups,
            run=run,
            depth=config.depths[-1],
            name="mid",
        )(skips[-1], time, text_states)
        # Each level meets the maps of its counterpart and the one that came before those.
        met = config.layers_per_block + 1
        for i, kind in enumerate(config.up_block_types):
            level = levels - 1 - i
            above = skips[-met - 1].shape[1:3] if level else None
            x = UpLevel(
                features=widths[level],
                heads=config.heads[level] if kind.startswith("CrossAttn") else 0,
                groups=config.norm_num_groups,
                run=run,
                depth=config.depths[level],
                name=f"up_{i}",
            )(x, skips[-met:], time, text_states, above)
            del skips[-met:]

        x = nn.silu(group_norm(config.norm_num_groups, EPSILON, run, "norm_out")(x))
        return conv3x3(config.out_channels, run, "conv_out")(x).astype(jnp.float32)
