"""PyTorch's steps beside MC-TI's update: the reference's, and diffusers' textual inversion."""

import copy
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch.nn import functional

from benchmarks.gpu.setting import Row, Setting, reason, torch_peak
from benchmarks.gpu.training import random_posteriors, random_problem, read_agreement
from benchmarks.mcti_torch import TorchStep, nchw
from benchmarks.timing import rates

BATCHES = (1, 4, 16, 8, 2)


class InversionStep:
    """An update as diffusers' `textual_inversion.py` makes it, on the networks of another step.

    A batch of pictures of one class, the autoencoder in the step, PyTorch's fused attention,
    AdamW on the whole token table whose other rows are restored.
    """

    def __init__(self, step: TorchStep, batch: int):
        self.step, self.batch = step, batch

    def __call__(self) -> int:
        """Make one update; return its samples."""
        step, samples = self.step, [self.step.draw() for _ in range(self.batch)]
        pixels = torch.stack([step.pictures[sample.entry] for sample in samples])
        with torch.no_grad():
            posterior = step.vae.encode(pixels.to(step.device, step.dtype)).latent_dist
            latents = posterior.sample() * step.vae.config.scaling_factor
        noise = torch.randn_like(latents)
        timesteps = torch.cat([sample.timestep for sample in samples])
        noisy = step.scheduler.add_noise(latents, noise, timesteps)
        ids = torch.stack([step.ids[sample.template] for sample in samples]).to(step.device)
        with torch.autocast(step.device.type, step.dtype, enabled=step.dtype != torch.float32):
            states = step.text(ids).last_hidden_state.to(step.dtype)
        predicted = step.unet(noisy, timesteps, states).sample
        loss = functional.mse_loss(predicted.float(), noise.float())
        loss.backward()
        step.optimizer.step()
        step.optimizer.zero_grad()
        with torch.no_grad():
            step.embedding[step.others] = step.original[step.others]
        loss.item()
        return self.batch


def theirs(setting: Setting) -> Iterator[Row | str]:
    """Measure PyTorch's steps; the first is compared with ours, if that was measured."""
    problem = random_problem(setting)
    step = TorchStep(problem, 0, device=setting.device, dtype=torch.bfloat16)
    cached = copy.copy(step)
    moments = [nchw(problem.by_class(x)[0]) for x in random_posteriors(problem)]
    cached.posteriors = [x.to(setting.device) for x in moments]
    torch_peak(setting.device)
    flops, cached_flops = map(_flops, (step, cached))
    yield _row(setting, "the reference's, batch 1", step, problem.config.samples, flops)
    left = read_agreement(setting)
    if left:
        yield compare(cached, *left)
    name = "the reference's, cached posteriors"
    yield _row(setting, name, cached, problem.config.samples, cached_flops)
    for batch in (2,) if setting.tiny else BATCHES:
        name = f"diffusers' textual inversion, batch {batch}"
        yield _row(setting, name, InversionStep(step, batch), batch, flops)


def compare(step: TorchStep, draws: object, gradient: np.ndarray) -> str:
    """Return a sentence on the gradient of an update of one class, on the draws of ours."""
    _, actual = step.differentiate(draws)
    wanted = gradient[step.label]
    error = np.linalg.norm(wanted - actual) / np.linalg.norm(actual)
    return f"On the same draws our gradient and the reference's differ by {error:.1e} in bfloat16."


def _flops(step: TorchStep) -> float | None:
    try:
        return step.flops()
    except Exception:  # A kernel that PyTorch's counter does not know.
        return None


def _row(
    setting: Setting, name: str, step: Callable[[], int], per_call: int, flops: float | None
) -> Row:
    try:
        speed = rates({name: step}, setting.seconds, setting.repeats)[name] * per_call
        row = {"step": name, "samples/s": speed, "TFLOP/s": flops and speed * flops / 1e12}
        return row | {"GiB": torch_peak(setting.device)}
    except Exception as error:  # Such as: it does not fit.
        torch_peak(setting.device)
        return {"step": name, "error": reason(error)}
