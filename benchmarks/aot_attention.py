"""Attention of Stable Diffusion compiled for TPUs: what each implementation costs, and a bound.

    python -m benchmarks.aot_attention [--topology=v5e:1x1,v5p:1x1x1,v6e:1x1] [--samples=4]

Value and gradient of each self-attention of the U-Net at 512 pixels. "FLOP" counts operations,
"in tiles" what the matrix unit spends on them, as it multiplies whole tiles; a kernel's arguments
count once as HBM traffic. The least time is the larger of tiles / peak and traffic / bandwidth.
Compiling takes seconds a row and needs the libtpu wheel, no TPU.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from absl import flags
from jax.sharding import SingleDeviceSharding
from jaxtyping import Array

from common.aot.program import compile_lowered
from common.aot.topology import topology_devices
from common.aot.traffic import hbm_bytes
from common.attention import attend
from common.chips import CHIPS
from common.errors import run_command
from common.evaluation.tables import markdown_table
from common.flops import count_flops

# Tokens, heads and their width at 64x64, 32x32 and 16x16 latents of Stable Diffusion 1.x, and at
# 64x64 of 2.x.
LAYERS = {
    "1.x, 64 x 64": (4096, 8, 40),
    "1.x, 32 x 32": (1024, 8, 80),
    "1.x, 16 x 16": (256, 8, 160),
    "2.x, 64 x 64": (4096, 5, 64),
}
TILES = {"v6e": 256}
TILE = 128


def plain(*inputs: Array) -> Array:
    """Attend with the probabilities in memory."""
    return attend(*inputs)


def flash(*inputs: Array) -> Array:
    """Attend with the kernel, where it fits."""
    return attend(*inputs, implementation="flash")


def padded(*inputs: Array) -> Array:
    """Do the same with heads filled up to 128."""
    width = inputs[0].shape[-1]
    wide = [jnp.pad(x, [(0, 0)] * 3 + [(0, -width % TILE)]) for x in inputs]
    return flash(*wide)[..., :width]


WAYS: Mapping[str, Callable[..., Array]] = {
    "plain": plain,
    "plain, computed twice": jax.checkpoint(plain),
    "flash": flash,
    "flash, heads padded": padded,
}


def cells(topology: str, samples: int, layer: str, way: str) -> list[str]:
    """Return a row of the table: one layer, compiled."""
    tokens, heads, width = LAYERS[layer]
    place = SingleDeviceSharding(topology_devices(topology)[0])
    array = jax.ShapeDtypeStruct((samples, tokens, heads, width), jnp.bfloat16, sharding=place)

    def total(*inputs: Array) -> Array:
        return WAYS[way](*inputs).astype(jnp.float32).sum()

    traced = jax.jit(jax.grad(total, argnums=(0, 1, 2))).trace(*[array] * 3)
    compiled, text = compile_lowered(traced.lower(lowering_platforms=("tpu",)))
    generation = topology.partition(":")[0]
    chip, tile = CHIPS[generation], TILES.get(generation, TILE)
    flops, tiles = count_flops(traced.jaxpr), count_flops(traced.jaxpr, tile)
    traffic = hbm_bytes(text)
    temporary = compiled.memory_analysis().temp_size_in_bytes
    times = [1e3 * tiles / chip.flops, 1e3 * traffic / chip.hbm]
    return [
        generation,
        layer,
        way,
        f"{flops / 1e9:.3g}",
        f"{tiles / 1e9:.3g}",
        f"{traffic / 2**30:.3g}",
        f"{temporary / 2**30:.2f}",
        ", ".join(f"{time:.3g}" for time in times),
        f"{max(times):.3g}",
    ]


HEADER = [
    *("chip", "layer", "attention", "GFLOP", "GFLOP in tiles", "HBM traffic, GiB"),
    *("temporary, GiB", "of it arithmetic, HBM, ms", "least time, ms"),
]


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_list("topology", ["v5e:1x1", "v5p:1x1x1", "v6e:1x1"], "Chips, as libtpu has them.")
    flags.DEFINE_integer("samples", 4, "At once.", lower_bound=1)


def main(argv: list[str]) -> None:
    """Print the table."""
    del argv
    rows = []
    for topology in flags.FLAGS.topology:
        for layer, (tokens, *_) in LAYERS.items():
            ways = WAYS if tokens == 4096 else list(WAYS)[:2]
            rows += [cells(topology, flags.FLAGS.samples, layer, way) for way in ways]
    print(markdown_table(HEADER, rows))


if __name__ == "__main__":
    run_command(main, define_flags)
