"""Relative error of Stable Diffusion's networks against diffusers at full size, in float32.

    python -m benchmarks.sd_parity [--model=1.5|2.1|xl] [--latents=64]

Weights and inputs are random. One network lives at a time, first PyTorch's, then ours, and the
weights go from one to the other in files; the largest, the UNet, wants about 12 GiB of memory, of
XL at 32 latents about 16 GiB. Exits with status 1 when an error exceeds the tolerance.
"""

import gc
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from common.diffusion import AddedConditions, AutoencoderKL, UNet
from common.diffusion.known import KNOWN, Architecture
from common.errors import UserError, run_command
from common.weights.diffusion import unet_table, vae_to_flax
from common.weights.files import read_tensors, write_tensors
from common.weights.table import to_flax

TOLERANCE = 1e-4
_ADDED = ("text_embeds", "time_ids")
MODELS = {
    "1.5": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "2.1": "stabilityai/stable-diffusion-2-1-base",
    "xl": "stabilityai/stable-diffusion-xl-base-1.0",
}


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_enum("model", "1.5", list(MODELS), "Stable Diffusion's version.")
    flags.DEFINE_integer("latents", 64, "Side of the latents; images have eight times it.")


@dataclass(frozen=True)
class Network:
    """One network of both sides.

    Attributes:
      theirs: The name of diffusers' class.
      ours: The module.
      convert: From PyTorch's tensors to parameters.
    """

    theirs: str
    ours: UNet | AutoencoderKL
    convert: Callable[[Mapping[str, np.ndarray]], dict]


@dataclass(frozen=True)
class Block:
    """What is compared.

    Attributes:
      name: Of the block.
      inputs: In our layout: images as NHWC.
      theirs: Calls diffusers' network with torch tensors, images as NCHW.
      method: The method of our module.
      arguments: Of our module, from the inputs.
    """

    name: str
    inputs: tuple[np.ndarray, ...]
    theirs: Callable[..., object]
    method: str = "__call__"
    arguments: Callable[..., tuple] = lambda *inputs: inputs


@dataclass(frozen=True)
class Outcome:
    """What a block says of its inputs: the output, and the gradient of a random sum of it.

    Attributes:
      output: In our layout.
      gradient: To the first input; None where nobody asked.
    """

    output: np.ndarray
    gradient: np.ndarray | None = None

    def error(self, other: "Outcome") -> float:
        """Return the largest difference of the outputs over the largest value of the other's."""
        return relative_error(self.output, other.output)

    def gradient_error(self, other: "Outcome") -> float:
        """Return the same of the gradients."""
        return relative_error(self.gradient, other.gradient)


def relative_error(actual: np.ndarray, desired: np.ndarray) -> float:
    """Return largest difference over largest value."""
    return float(np.abs(actual - desired).max() / np.abs(desired).max())


def direction(shape: Sequence[int]) -> np.ndarray:
    """Return the weights of the random sum, in our layout."""
    return np.random.default_rng(1).standard_normal(shape, dtype=np.float32)


def networks(sizes: Architecture, side: int) -> list[tuple[Network, list[Block]]]:
    """Return the two networks, and what to compare of each."""
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    vae, unet = AutoencoderKL(sizes.vae), UNet(sizes.unet)
    table = unet_table(sizes.unet.use_linear_projection)
    latents = normal(1, side, side, sizes.unet.in_channels)
    pixels = np.tanh(normal(1, side * 8, side * 8, 3))
    states = normal(1, sizes.text.positions, sizes.unet.cross_attention_dim)
    encode = Block("VAE encode", (pixels,), lambda net, x: net.encode(x).latent_dist.mean, "encode")
    decode = Block("VAE decode", (latents,), lambda net, x: net.decode(x).sample, "decode")
    name, inputs = f"UNet {sizes.schedule.prediction_type}", (latents, np.array([500]), states)
    if sizes.unet.pooled_width is None:
        predict = Block(name, inputs, lambda net, x, t, s: net(x, t, s).sample)
    else:
        pixels_of = np.array([[8 * side, 8 * side, 0, 0, 8 * side, 8 * side]], np.float32)
        predict = Block(
            name,
            (*inputs, normal(1, sizes.unet.pooled_width), pixels_of),
            lambda net, x, t, s, *added: (
                net(x, t, s, added_cond_kwargs=dict(zip(_ADDED, added, strict=True))).sample
            ),
            arguments=lambda x, t, s, *added: (x, t, s, AddedConditions(*added)),
        )
    return [
        (Network("AutoencoderKL", vae, vae_to_flax), [encode, decode]),
        (Network("UNet2DConditionModel", unet, lambda x: to_flax(table, x)), [predict]),
    ]


def run_theirs(
    network: Network, blocks: Sequence[Block], device: str = "cpu", gradient: bool = False
) -> tuple[list[Outcome], dict]:
    """Return what diffusers' network makes of the blocks, its weights random, and our parameters.

    Args:
      network: Of both sides.
      blocks: What is compared.
      device: PyTorch's.
      gradient: Whether gradients are wanted as well.
    """
    import diffusers
    import torch

    torch.manual_seed(0)
    with torch.device(device):
        reference = getattr(diffusers, network.theirs).from_config(network.ours.config.to_dict())
    reference = reference.eval().requires_grad_(False)
    for parameter in reference.parameters():
        # Norms start as the identity, which would hide a wrong or missing one.
        if parameter.ndim == 1:
            parameter.add_(0.1 * torch.randn_like(parameter))
    outcomes = []
    for block in blocks:
        arrays = [torch.from_numpy(x).to(device) for x in block.inputs]
        arrays[0].requires_grad_(gradient)
        inputs = [x.permute(0, 3, 1, 2) if x.ndim == 4 else x for x in arrays]
        output = block.theirs(reference, *inputs).permute(0, 2, 3, 1)
        if gradient:
            (output * torch.from_numpy(direction(output.shape)).to(device)).sum().backward()
        slope = arrays[0].grad.cpu().numpy() if gradient else None
        outcomes.append(Outcome(output.detach().cpu().numpy(), slope))
    with tempfile.TemporaryDirectory() as folder:
        state, tensors = reference.state_dict(), {}
        for number, name in enumerate(state):
            file = Path(folder) / f"{number}.safetensors"
            write_tensors(file, {name: state[name].cpu().numpy()})
            tensors |= read_tensors(file)
        del reference, parameter, state
        gc.collect()
        return outcomes, network.convert(tensors)


def run_ours(network: Network, block: Block, params: dict, gradient: bool = False) -> Outcome:
    """Return what our network makes of the same block."""

    def apply(first: jax.Array, params: dict, *rest: jax.Array) -> jax.Array:
        arguments = block.arguments(first, *rest)
        output = network.ours.apply({"params": params}, *arguments, method=block.method)
        return output.mean if block.method == "encode" else output

    def total(*arrays: Any) -> tuple[jax.Array, jax.Array]:
        output = apply(*arrays)
        return (output * direction(output.shape)).sum(), output

    first, *rest = (jnp.asarray(x) for x in block.inputs)
    if not gradient:
        return Outcome(np.asarray(jax.jit(apply)(first, params, *rest)))
    slope, output = jax.jit(jax.grad(total, has_aux=True))(first, params, *rest)
    return Outcome(np.asarray(output), np.asarray(slope))


def main(argv: Sequence[str]) -> None:
    """Print one row for each block."""
    del argv
    if find_spec("torch") is None or find_spec("diffusers") is None:
        raise UserError(
            "this benchmark compares with PyTorch, which is not installed here: "
            "pip install 'promptax[reference]'."
        )
    jax.config.update("jax_default_matmul_precision", "highest")
    options, worst = flags.FLAGS, 0.0
    print(f"{'block':<16} {'size':>14} {'parameters':>12} {'max rel. error':>15} {'s':>6}")
    sizes = KNOWN[MODELS[options.model]]
    for network, blocks in networks(sizes, options.latents):
        outcomes, params = run_theirs(network, blocks)
        gc.collect()  # diffusers' network is gone before ours is compiled
        count = sum(x.size for x in jax.tree.leaves(params)) / 1e6
        params = jax.device_put(params)
        for block, desired in zip(blocks, outcomes, strict=True):
            start = time.perf_counter()
            actual = run_ours(network, block, params)
            seconds = time.perf_counter() - start
            error = actual.error(desired)
            worst = max(worst, error)
            size = "x".join(map(str, block.inputs[0].shape[1:]))
            print(f"{block.name:<16} {size:>14} {count:>10.1f} M {error:>15.1e} {seconds:>6.0f}")
        del params
    if worst > TOLERANCE:
        print(f"an error exceeds {TOLERANCE}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    run_command(main, define_flags)
