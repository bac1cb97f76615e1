"""Sampling with guidance at the size of Stable Diffusion 1.5, beside diffusers' pipeline."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.gpu.setting import Row, Setting, program_memory, torch_peak
from benchmarks.mcti_plain import cast
from benchmarks.mcti_problem import SCHEDULE, Problem, latent_shape, make_problem, normal
from benchmarks.timing import rates
from common.diffusion import Modules, text_to_image

STEPS, GUIDANCE = 25, 7.5
BATCHES = (1, 4)


def inputs(problem: Problem, batch: int) -> list[np.ndarray]:
    """Return noise, states of prompts and states of the empty prompt."""
    rng, text = np.random.default_rng(2), problem.modules.text_tower.config
    states = normal(rng, 2, batch, text.positions, text.width)
    return [normal(rng, batch, *latent_shape(problem.modules.unet)), *states]


def pictures_file(setting: Setting) -> Path:
    """Return where our first pictures are left for the comparison."""
    return setting.work / "sampled.npy"


def problem_of(setting: Setting) -> Problem:
    """Return random networks."""
    return make_problem("tiny" if setting.tiny else "sd15", 2)


def steps_of(setting: Setting) -> int:
    """Return how often the U-Net is called."""
    return 3 if setting.tiny else STEPS


def ours(setting: Setting) -> Iterator[Row]:
    """Measure `text_to_image`, in float32 where networks are tiny."""
    problem = problem_of(setting)
    modules, params = cast(problem, jnp.float32 if setting.tiny else jnp.bfloat16)
    unet, vae = (net.clone(attention="fused") for net in (modules.unet, modules.vae))
    modules = Modules(unet, vae, modules.text_tower, modules.schedule)
    params = jax.device_put({name: params[name] for name in ("unet", "vae")})
    options = {"sampler": "dpmpp_2m", "steps": steps_of(setting)}
    for batch in BATCHES:
        noise, states, empty = map(jnp.asarray, inputs(problem, batch))
        arguments = params, states, empty, noise
        lowered = text_to_image.lower(modules, *arguments, guidance=GUIDANCE, **options)
        started = time.perf_counter()
        program = lowered.compile()
        compiling = time.perf_counter() - started

        def draw(program: Any = program, arguments: Any = arguments) -> np.ndarray:
            return np.asarray(program(*arguments, guidance=GUIDANCE))

        if batch == BATCHES[0]:
            np.save(pictures_file(setting), draw())
        yield _row("ours", draw, batch, setting) | {
            "GiB": program_memory(program.memory_analysis()),
            "compiling, s": compiling,
        }


def theirs(setting: Setting) -> Iterator[Row | str]:
    """Measure diffusers' pipeline, and compare its first pictures with ours."""
    import diffusers
    import torch

    from benchmarks.mcti_torch import TorchStep

    problem = problem_of(setting)
    dtype = torch.float32 if setting.tiny else torch.bfloat16
    networks = TorchStep(problem, 0, device=setting.device, dtype=dtype)
    pipeline = diffusers.StableDiffusionPipeline(
        vae=networks.vae,
        text_encoder=networks.text.to(dtype),
        tokenizer=None,
        unet=networks.unet,
        scheduler=diffusers.DPMSolverMultistepScheduler.from_config(
            {**SCHEDULE, "steps_offset": 1}  # without which the pipeline warns
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    side = problem.modules.unet.config.sample_size * problem.modules.vae.config.downsampling
    for batch in BATCHES:
        arrays = [torch.from_numpy(x).to(setting.device, dtype) for x in inputs(problem, batch)]
        torch_peak(setting.device)

        def draw(arrays: Any = arrays) -> np.ndarray:
            noise, states, empty = arrays
            output = pipeline(
                prompt_embeds=states,
                negative_prompt_embeds=empty,
                latents=noise.permute(0, 3, 1, 2).contiguous(),
                num_inference_steps=steps_of(setting),
                guidance_scale=GUIDANCE,
                height=side,
                width=side,
                output_type="pt",
            )
            return output.images.float().permute(0, 2, 3, 1).cpu().numpy()

        if batch == BATCHES[0] and pictures_file(setting).exists():
            error = np.abs(draw() - np.load(pictures_file(setting))).mean()
            name = str(dtype).removeprefix("torch.")
            yield f"On the same noise our pictures and diffusers' differ by {error:.1e} in {name}."
        yield _row("diffusers", draw, batch, setting) | {"GiB": torch_peak(setting.device)}


def _row(name: str, draw: Any, batch: int, setting: Setting) -> Row:
    speed = rates({name: draw}, setting.seconds, setting.repeats)[name]
    return {"program": name, "pictures at once": batch, "pictures/s": speed * batch}
