"""MC-TI's training step in PyTorch, as the reference script runs it; needs `reference`.

Followed: wangkai930418/mc_ti, `mcti.py` 872-928: one class at a time, batch 1, accumulation 4,
AdamW on the whole token table whose other rows are restored after every micro-step, image
features drawn by Python's `random`, three scalars read back per micro-step. Left out, to the
reference's advantage: reading, resizing and sending the photos, the progress bar and the tracker.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import diffusers
import numpy as np
import torch
import transformers
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.mcti_problem import SCHEDULE, Problem, latent_shape
from common.clip.hugging_face import text_to_json
from common.weights.clip import HF_TEXT_TOWER
from common.weights.diffusion import VAE, unet_table
from common.weights.table import Table, to_source
from mcti_jax.draws import Draws
from mcti_jax.method import learning_rate

diffusers.utils.logging.set_verbosity_error()


@dataclass(frozen=True)
class Sample:
    """The random choices of one micro-step."""

    entry: int
    template: int
    timestep: torch.Tensor
    posterior: torch.Tensor
    noise: torch.Tensor
    feature: Sequence[int]


class TorchStep:
    """Trains the token of one class; a call makes one update and returns its samples.

    Args:
      problem: What to train on.
      label: The class.
      device: "cpu" or "cuda".
      dtype: Of the frozen networks.
      posteriors: Mean and log variance of the VAE, each `[2 b h w c]`: caches that stand in
        for the autoencoder.
    """

    def __init__(
        self,
        problem: Problem,
        label: int,
        *,
        device: str,
        dtype: torch.dtype,
        posteriors: Sequence[np.ndarray] | None = None,
    ):
        self.problem, self.config, self.label = problem, problem.config, label
        self.device, self.dtype, self.generator = torch.device(device), dtype, random.Random(0)
        params, unet_config = problem.params, problem.modules.unet.config

        with self.device:  # on which the weights, soon replaced, are drawn sooner
            unet = diffusers.UNet2DConditionModel.from_config(unet_config.to_dict())
            vae = diffusers.AutoencoderKL.from_config(problem.modules.vae.config.to_dict())
        table = unet_table(unet_config.use_linear_projection)
        self.unet = self._frozen(unet, table, params["unet"]).to(dtype)
        self.vae = self._frozen(vae, VAE, params["vae"]).to(dtype)
        self.scheduler = diffusers.DDPMScheduler.from_config(SCHEDULE)

        # The vocabulary grows by the placeholder, whose row starts as another word's.
        rows = np.concatenate([params["text"]["token_embedding"], problem.start])
        grown = {**params["text"], "token_embedding": rows}
        text = text_to_json(problem.modules.text_tower.config) | {"vocab_size": len(rows)}
        tower = transformers.CLIPTextModel(transformers.CLIPTextConfig.from_dict(text))
        self.text = self._frozen(tower, HF_TEXT_TOWER, grown)
        self.embedding = self.text.get_input_embeddings().weight.requires_grad_(True)
        self.original = self.embedding.detach().clone()
        self.others = torch.ones(len(rows), dtype=torch.bool, device=self.device)
        self.others[-1] = False
        self.projection = torch.from_numpy(params["projection"]).to(self.device)
        self.optimizer = torch.optim.AdamW(
            [self.embedding],
            lr=learning_rate(self.config),
            betas=(self.config.beta1, self.config.beta2),
            weight_decay=self.config.weight_decay,
            eps=1e-8,
        )

        self.ids = torch.from_numpy(problem.prompts.ids)
        self.pictures = nchw(problem.by_class(problem.pixels)[label]).to(self.device)
        self.posteriors = None
        if posteriors is not None:
            moments = [nchw(problem.by_class(x)[label]) for x in posteriors]
            self.posteriors = [x.to(self.device) for x in moments]
        self.bank = [
            [torch.from_numpy(feature[None]) for feature in features]
            for features in problem.by_class(problem.features)
        ]

    def __call__(self) -> int:
        """Make one update: `samples` micro-steps, then AdamW."""
        for i in range(self.config.samples):
            self.micro_step(self.draw())
            if i == self.config.samples - 1:
                self.optimizer.step()
                self.optimizer.zero_grad()
            with torch.no_grad():
                self.embedding[self.others] = self.original[self.others]
        return self.config.samples

    def micro_step(self, sample: Sample) -> float:
        """Add a sample's share to the gradient and return its loss."""
        mse, ce = self.losses(sample)
        loss = self.config.alpha * mse + self.config.gamma * ce
        (loss / self.config.samples).backward()
        _, _, value = mse.item(), ce.item(), loss.item()
        return value

    def losses(self, sample: Sample) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the denoising error and the cross-entropy of one sample."""
        latents = self.latents(sample) * self.vae.config.scaling_factor
        noisy = self.scheduler.add_noise(latents, sample.noise, sample.timestep)
        # The tower stays in float32 under autocast, as in the reference.
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            output = self.text(self.ids[sample.template][None].to(self.device))
        states = output.last_hidden_state.to(self.dtype)
        predicted = self.unet(noisy.to(self.dtype), sample.timestep, states).sample
        mse = functional.mse_loss(predicted.float(), sample.noise.float())

        text = output.pooler_output.float() @ self.projection
        text = text / text.norm(dim=-1, keepdim=True)
        drawn = [features[i] for features, i in zip(self.bank, sample.feature, strict=True)]
        images = torch.cat(drawn).to(self.device)
        images = images / images.norm(dim=-1, keepdim=True)
        logits = self.config.logit_scale * text @ images.T
        ce = functional.cross_entropy(logits, torch.tensor([self.label], device=self.device))
        return mse, ce

    def latents(self, sample: Sample) -> torch.Tensor:
        """Sample the posterior: from the autoencoder or from the caches."""
        if self.posteriors is not None:
            mean, logvar = (x[sample.entry][None] for x in self.posteriors)
            return mean + torch.exp(0.5 * logvar) * sample.posterior
        pixels = self.pictures[sample.entry][None].to(self.device, self.dtype)
        with torch.no_grad():
            posterior = self.vae.encode(pixels).latent_dist
        return posterior.mean.float() + posterior.std.float() * sample.posterior

    def draw(self) -> Sample:
        """Return the choices of a micro-step."""
        height, width, channels = latent_shape(self.problem.modules.unet)
        shape = (1, channels, height, width)
        return Sample(
            self.generator.randrange(len(self.pictures)),
            self.generator.randrange(len(self.ids)),
            torch.randint(self.scheduler.config.num_train_timesteps, (1,), device=self.device),
            torch.randn(shape, device=self.device),
            torch.randn(shape, device=self.device),
            [self.generator.randrange(len(features)) for features in self.bank],
        )

    def differentiate(self, draws: Draws) -> tuple[float, np.ndarray]:
        """Return loss and gradient `[1 d]` of an update with the given draws of this class."""
        loss = 0.0
        for i in range(self.config.samples):
            noises = [nchw(x[self.label, i][None]) for x in (draws.posterior, draws.noise)]
            sample = Sample(
                int(draws.entry[self.label, i]),
                int(draws.template[self.label, i]),
                torch.tensor([int(draws.timestep[self.label, i])], device=self.device),
                *[x.to(self.device) for x in noises],
                np.asarray(draws.feature[self.label, i, 0]).tolist(),
            )
            loss += self.micro_step(sample) / self.config.samples
        gradient = self.embedding.grad[-1:].cpu().numpy()
        self.optimizer.zero_grad()
        return loss, gradient

    def flops(self) -> float:
        """Return the floating-point operations of a micro-step, by PyTorch's count."""
        with FlopCounterMode(display=False) as counter:
            self.micro_step(self.draw())
        self.optimizer.zero_grad()
        return counter.get_total_flops()

    def _frozen(self, module: torch.nn.Module, table: Table, params: Mapping) -> torch.nn.Module:
        """Return `module` with our weights, on the device."""
        tensors = to_source(table, params)
        if isinstance(module, transformers.CLIPTextModel):
            # The library stores the prefix and leaves it out in memory, or not, by version.
            keys = module.state_dict().keys()
            tensors = {k if k in keys else k.split(".", 1)[1]: x for k, x in tensors.items()}
        module.load_state_dict({k: torch.from_numpy(x) for k, x in tensors.items()})
        return module.requires_grad_(False).eval().to(self.device)


def nchw(images: np.ndarray) -> torch.Tensor:
    """Transpose `[b h w c]` to `[b c h w]`."""
    return torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).contiguous()
