"""The PyTorch oracle: one training step in the reference's order, on random small weights.

Needs torch, transformers and diffusers, so only tests marked `reference` import it. Every
random choice comes in from outside, and pictures come as the moments of their posterior.
"""

from dataclasses import dataclass, replace

import diffusers
import numpy as np
import torch
import transformers

from common.clip import TextTower
from common.diffusion import AutoencoderKL, NoiseSchedule, UNet, UNetConfig, VAEConfig
from common.diffusion.text_encoder import FIRST, TextEncoder
from common.weights.clip import HF_TEXT_TOWER
from common.weights.diffusion import unet_table, vae_to_flax
from common.weights.table import to_flax
from mcti_jax.networks import Networks
from tests.mcti.tiny import LATENT_SCALE, SCHEDULE, TEXT

TEXT = replace(TEXT, layers=2)
PLACEHOLDER = TEXT.vocab_size  # the id that an added word gets
WIDTH, FEATURES = TEXT.width, 768
UNET = {
    "sample_size": 16,
    "block_out_channels": [32, 64],
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
    "layers_per_block": 1,
    "attention_head_dim": 8,
    "cross_attention_dim": WIDTH,
    "norm_num_groups": 8,
}
VAE = {
    "block_out_channels": [16, 32],
    "down_block_types": ["DownEncoderBlock2D"] * 2,
    "up_block_types": ["UpDecoderBlock2D"] * 2,
    "layers_per_block": 1,
    "norm_num_groups": 8,
}


def tensors(module, prefix=""):
    return {prefix + name: x.detach().numpy() for name, x in module.state_dict().items()}


def channels_first(x):
    return torch.from_numpy(np.array(x, np.float32)).movedim(-1, 0)[None]


def channels_last(x):
    return x.detach()[0].movedim(0, -1).numpy()


@dataclass(frozen=True)
class MicroStep:
    """All that one sample gives."""

    hidden: torch.Tensor
    pooled: torch.Tensor
    text: torch.Tensor
    logits: torch.Tensor
    noisy: torch.Tensor
    predicted: torch.Tensor
    mse: torch.Tensor
    ce: torch.Tensor
    loss: torch.Tensor


class Oracle:
    """The reference's networks with one more word in the vocabulary than ours."""

    def __init__(self):
        torch.manual_seed(0)
        config = transformers.CLIPTextConfig(
            vocab_size=TEXT.vocab_size + 1,
            hidden_size=WIDTH,
            intermediate_size=TEXT.mlp_width,
            num_hidden_layers=TEXT.layers,
            num_attention_heads=TEXT.heads,
            hidden_act="quick_gelu",
            eos_token_id=2,  # as in Stable Diffusion 1.5: pools at the largest id
        )
        self.text_encoder = transformers.CLIPTextModel(config)
        self.text_projection = torch.nn.Linear(WIDTH, FEATURES, bias=False)
        self.unet = diffusers.UNet2DConditionModel.from_config(UNET)
        self.vae = diffusers.AutoencoderKL.from_config(VAE)
        self.noise_scheduler = diffusers.DDPMScheduler(**SCHEDULE)
        for module in (self.text_encoder, self.text_projection, self.unet, self.vae):
            module.eval().requires_grad_(False)
            for name, parameter in module.named_parameters():
                usual = 1.0 if "embedding.weight" in name else 0.1
                parameter.mul_(1 + 0.1 * torch.randn_like(parameter))
                parameter.add_(0.3 * usual * torch.randn_like(parameter))

    @property
    def table(self):
        """The token table, whose last row is learned."""
        return self.text_encoder.get_input_embeddings().weight

    def params(self):
        """The same weights in our layout; our table does not hold the learned row."""
        text = tensors(self.text_encoder, "text_model.")
        name = "text_model.embeddings.token_embedding.weight"
        text[name] = text[name][:PLACEHOLDER]
        return {
            "text": to_flax(HF_TEXT_TOWER, text),
            "projection": self.text_projection.weight.numpy().T.copy(),
            "unet": to_flax(unet_table(linear_projection=False), tensors(self.unet)),
            "vae": vae_to_flax(tensors(self.vae)),
        }

    def encode_text(self, table, ids):
        weights = {"embeddings.token_embedding.weight": table}
        ids = torch.from_numpy(np.asarray(ids, np.int64))
        return torch.func.functional_call(self.text_encoder, weights, (ids,))

    def micro_step(self, table, sample, alpha, gamma, logit_scale):
        """One picture, one prompt, one feature of each class."""
        std = torch.exp(0.5 * channels_first(sample["logvar"]))
        latents = channels_first(sample["mean"]) + std * channels_first(sample["posterior"])
        latents = latents * 0.18215
        noise = channels_first(sample["noise"])
        timesteps = torch.tensor([int(sample["timestep"])])
        noisy = self.noise_scheduler.add_noise(latents, noise, timesteps)

        outputs = self.encode_text(table, sample["ids"][None])
        predicted = self.unet(noisy, timesteps, outputs.last_hidden_state).sample
        mse = torch.nn.functional.mse_loss(predicted, noise)

        text = self.text_projection(outputs.pooler_output)
        text_features = text / text.norm(dim=-1, keepdim=True)
        image_features = torch.from_numpy(sample["images"])
        image_features = image_features / image_features.norm(dim=-1, keepdim=True)
        logits = (image_features @ text_features.T * logit_scale).T
        ce = torch.nn.functional.cross_entropy(logits, torch.tensor([int(sample["label"])]))
        return MicroStep(
            hidden=outputs.last_hidden_state,
            pooled=outputs.pooler_output,
            text=text,
            logits=logits,
            noisy=noisy,
            predicted=predicted,
            mse=mse,
            ce=ce,
            loss=alpha * mse + gamma * ce,
        )


def networks(dtype="float32"):
    """Our modules for the oracle's weights."""
    return Networks(
        unet=UNet(UNetConfig.from_dict(UNET), dtype=dtype),
        schedule=NoiseSchedule(**SCHEDULE),
        text=(TextEncoder(FIRST, TextTower(TEXT)),),
        clip_text=None,
        latent_scale=LATENT_SCALE,
    )


def vae():
    return AutoencoderKL(VAEConfig.from_dict(VAE))
