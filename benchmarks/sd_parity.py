"""Relative error of Stable Diffusion's networks against diffusers at full size, in float32.

    python -m benchmarks.sd_parity [--model=1.5|2.1] [--latents=64]

Weights and inputs are random. One network lives at a time, first PyTorch's, then ours; the
largest, the UNet, wants about 12 GiB of memory. Exits with status 1 when an error exceeds the
tolerance.
"""

import gc
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from common.diffusion import AutoencoderKL, UNet
from common.diffusion.known import KNOWN
from common.errors import UserError, run_command
from common.weights.diffusion import unet_table, vae_to_flax
from common.weights.table import to_flax

TOLERANCE = 1e-4
MODELS = {
    "1.5": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "2.1": "stabilityai/stable-diffusion-2-1-base",
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
    """

    name: str
    inputs: tuple[np.ndarray, ...]
    theirs: Callable[..., object]
    method: str = "__call__"


def networks(model: str, side: int) -> list[tuple[Network, list[Block]]]:
    """Return the two networks, and what to compare of each."""
    sizes = KNOWN[MODELS[model]]
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
    predict = Block(
        f"UNet {sizes.schedule.prediction_type}",
        (latents, np.array([500]), states),
        lambda net, x, t, s: net(x, t, s).sample,
    )
    return [
        (Network("AutoencoderKL", vae, vae_to_flax), [encode, decode]),
        (Network("UNet2DConditionModel", unet, lambda x: to_flax(table, x)), [predict]),
    ]


def run_theirs(network: Network, blocks: Sequence[Block]) -> tuple[list[np.ndarray], dict]:
    """Return the outputs of diffusers' network with random weights, and our parameters."""
    import diffusers
    import torch

    torch.manual_seed(0)
    reference = getattr(diffusers, network.theirs).from_config(network.ours.config.to_dict())
    reference = reference.eval().requires_grad_(False)
    for parameter in reference.parameters():
        # Norms start as the identity, which would hide a wrong or missing one.
        if parameter.ndim == 1:
            parameter.add_(0.1 * torch.randn_like(parameter))
    outputs = []
    for block in blocks:
        inputs = [torch.from_numpy(x) for x in block.inputs]
        inputs = [x.permute(0, 3, 1, 2) if x.ndim == 4 else x for x in inputs]
        outputs.append(block.theirs(reference, *inputs).permute(0, 2, 3, 1).numpy())
    params = network.convert({name: x.numpy() for name, x in reference.state_dict().items()})
    return outputs, params


def run_ours(network: Network, block: Block, params: dict) -> np.ndarray:
    """Return our output of the same block."""
    apply = jax.jit(lambda p, *x: network.ours.apply({"params": p}, *x, method=block.method))
    output = apply(params, *(jnp.asarray(x) for x in block.inputs))
    return np.asarray(output.mean if block.method == "encode" else output)


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
    for network, blocks in networks(options.model, options.latents):
        outputs, params = run_theirs(network, blocks)
        gc.collect()  # diffusers' network is gone before ours is compiled
        count = sum(x.size for x in jax.tree.leaves(params)) / 1e6
        params = jax.device_put(params)
        for block, desired in zip(blocks, outputs, strict=True):
            start = time.perf_counter()
            actual = run_ours(network, block, params)
            seconds = time.perf_counter() - start
            error = float(np.abs(actual - desired).max() / np.abs(desired).max())
            worst = max(worst, error)
            size = "x".join(map(str, block.inputs[0].shape[1:]))
            print(f"{block.name:<16} {size:>14} {count:>10.1f} M {error:>15.1e} {seconds:>6.0f}")
        del params
    if worst > TOLERANCE:
        print(f"an error exceeds {TOLERANCE}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    run_command(main, define_flags)
