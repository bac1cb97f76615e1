"""Full-size CLIP towers with random weights against PyTorch.

    python -m benchmarks.clip_parity [--sizes=ViT-L/14,RN50x16,SigLIP-so400m/14-384]

ViTs and text towers are compared with transformers, ResNets and CLIPA with the oracle of the tests.
Every output and the gradient with respect to the input (text: the token embeddings) get a line: the
largest difference over the largest value, in float32. The exit status is 1 if any exceeds 1e-4.

The gradient with respect to a ResNet's pixels is compared in float64: where a ReLU's input is
within rounding of zero, one framework lets the gradient through and the other does not, so that in
float32 even PyTorch is far from its own float64. It needs the "reference" extra and, for the
largest sizes, 10 GiB of memory and some minutes.
"""

import os
import runpy
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np
import torch
import transformers
from absl import app, flags

from common.clip import CLIPConfig, ResNetConfig, TextConfig, TextTower, ViTConfig
from common.clip.config import CLIPAViTConfig, SigLIPViTConfig
from common.clip.encode import image_tower
from common.clip.families import family_of
from common.clip.hugging_face import clip_to_json
from common.clip.known import KNOWN
from common.clip.siglip_files import siglip_to_json
from common.evaluation.tables import markdown_table
from common.nesting import flatten, nest
from common.weights.clip import HF_CLIP, OPEN_CLIP_IGNORE
from common.weights.siglip import HF_SIGLIP
from common.weights.table import Table, match_keys, to_flax

TOLERANCE = 1e-4
ORACLE = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "tests/clip/oracle.py")))
_SIZES = flags.DEFINE_list("sizes", ["ViT-L/14", "RN50x16"], "Which models to compare.")

# What the two kinds of towers return, by position.
HEADER = ("tower", "size", "feature", "pooled", "tokens or grid", "hidden states", "gradient")
Outputs = dict[str, Any]


def text(width: int, projection: int) -> TextConfig:
    """Return the text tower that goes with an image tower."""
    return TextConfig(49408, width, 12, width // 64, 4 * width, projection=projection)


MODELS = {
    "ViT-B/32": CLIPConfig(text(512, 512), ViTConfig(224, 32, 768, 12, 12, 3072, 512)),
    "ViT-B/16": CLIPConfig(text(512, 512), ViTConfig(224, 16, 768, 12, 12, 3072, 512)),
    "ViT-L/14": CLIPConfig(text(768, 768), ViTConfig(224, 14, 1024, 24, 16, 4096, 768)),
    "RN50": CLIPConfig(text(512, 1024), ResNetConfig(224, (3, 4, 6, 3), 64, 32, 1024)),
    "RN50x4": CLIPConfig(text(640, 640), ResNetConfig(288, (4, 6, 10, 6), 80, 40, 640)),
    "RN50x16": CLIPConfig(text(768, 768), ResNetConfig(384, (6, 8, 18, 8), 96, 48, 768)),
    "ViT-H/14": KNOWN["laion/CLIP-ViT-H-14-laion2B-s32B-b79K"],
    "ViT-g/14": KNOWN["laion/CLIP-ViT-g-14-laion2B-s34B-b88K"],
    "ViT-bigG/14": KNOWN["laion/CLIP-ViT-bigG-14-laion2B-39B-b160k"],
    "CLIPA-H/14": KNOWN["UCSC-VLAA/ViT-H-14-CLIPA-datacomp1B"],
    "SigLIP-B/16": KNOWN["google/siglip-base-patch16-224"],
    "SigLIP-so400m/14-384": KNOWN["google/siglip-so400m-patch14-384"],
}


class Transformers:
    """A ViT CLIP of transformers with random weights, on PyTorch's `device`."""

    table, text_tower = HF_CLIP, "text_model"

    @staticmethod
    def build(config: CLIPConfig) -> torch.nn.Module:
        """Return the model without weights of its own."""
        return transformers.CLIPModel(transformers.CLIPConfig(**clip_to_json(config)))

    def __init__(self, config: CLIPConfig, device: str = "cpu"):
        """Draw the weights."""
        self.model = self.build(config)
        self.model.eval().requires_grad_(False)
        ORACLE.randomise(self.model, 0.03)
        self.model.to(device)
        self.device = device

    def params(self, tower: str) -> dict[str, Any]:
        """Return the weights of "text" or "vision" as ours."""
        tensors = {key: value.cpu().numpy() for key, value in self.model.state_dict().items()}
        return converted(self.table, tensors, tower)

    def text(self, embeddings: torch.Tensor, at: int) -> Outputs:
        """Run the text tower on embeddings, pooled at one position."""
        ids = torch.zeros(embeddings.shape[:2], dtype=torch.long, device=self.device)
        ids[:, at] = self.model.config.text_config.eos_token_id
        tower = self.model.text_model
        hook = tower.embeddings.token_embedding.register_forward_hook(lambda *_: embeddings)
        output = tower(ids, output_hidden_states=True)
        hook.remove()
        return {
            "projected": self.model.text_projection(output.pooler_output),
            "pooled": output.pooler_output,
            "last_hidden_state": output.last_hidden_state,
            "hidden_states": output.hidden_states,
        }

    def image(self, pixels: torch.Tensor) -> Outputs:
        """Run the image tower on NCHW pixels."""
        output = self.model.vision_model(pixels, output_hidden_states=True)
        grid = output.last_hidden_state[:, 1:]
        side = round(grid.shape[1] ** 0.5)
        return {
            "features": self.model.visual_projection(output.pooler_output),
            "pooled": output.pooler_output,
            "grid": grid.unflatten(1, (side, side)),
            "hidden_states": output.hidden_states,
        }


class SigLIP(Transformers):
    """A SigLIP of transformers with random weights, on PyTorch's `device`."""

    table = HF_SIGLIP

    @staticmethod
    def build(config: CLIPConfig) -> torch.nn.Module:
        """Return the model without weights of its own."""
        return transformers.SiglipModel(transformers.SiglipConfig(**siglip_to_json(config)))

    def text(self, embeddings: torch.Tensor, at: int) -> Outputs:
        """Run the text tower on embeddings, pooled at the last position."""
        assert at == embeddings.shape[1] - 1
        ids = torch.zeros(embeddings.shape[:2], dtype=torch.long, device=self.device)
        tower = self.model.text_model
        hook = tower.embeddings.token_embedding.register_forward_hook(lambda *_: embeddings)
        output = tower(ids, output_hidden_states=True)
        hook.remove()
        return {
            "projected": output.pooler_output,
            "pooled": output.last_hidden_state[:, -1],
            "last_hidden_state": output.last_hidden_state,
            "hidden_states": output.hidden_states,
        }

    def image(self, pixels: torch.Tensor) -> Outputs:
        """Run the image tower on NCHW pixels."""
        output = self.model.vision_model(pixels, output_hidden_states=True)
        grid = output.last_hidden_state
        side = round(grid.shape[1] ** 0.5)
        return {
            "features": output.pooler_output,
            "pooled": output.pooler_output,
            "grid": grid.unflatten(1, (side, side)),
            "hidden_states": output.hidden_states,
        }


class Oracle:
    """A ResNet CLIP or a CLIPA of the tests' oracle with random weights, on the CPU."""

    device, text_tower = "cpu", "transformer"

    def __init__(self, config: CLIPConfig):
        """Draw the weights."""
        self.model = ORACLE.OpenClip(config, 0.03)
        self.table = family_of(config).table

    def params(self, tower: str) -> dict[str, Any]:
        """Return the weights of "text" or "vision" as ours."""
        tensors = {key: value.numpy() for key, value in self.model.state_dict().items()}
        return converted(self.table, tensors, tower)

    def text(self, embeddings: torch.Tensor, at: int) -> Outputs:
        """Run the text tower on embeddings, pooled at one position."""
        return self.model.text(embeddings, torch.tensor([at]))

    def image(self, pixels: torch.Tensor) -> Outputs:
        """Run the image tower on NCHW pixels."""
        return self.model.visual(pixels)


def converted(table: Table, tensors: Mapping[str, np.ndarray], tower: str) -> dict[str, Any]:
    """Return the weights of one tower as ours, on the device.

    Tensor by tensor, for the largest fit beside PyTorch's once and not twice.
    """
    flat: dict[str, Any] = {}
    for key, match in match_keys(table, tensors, ignore=OPEN_CLIP_IGNORE).items():
        if match.paths[0].startswith(f"{tower}/"):
            part = flatten(to_flax(table, {key: tensors[key]}))
            flat |= {path: jnp.array(x) for path, x in part.items()}
    return nest(flat)[tower]


ORACLES = {
    ViTConfig: Transformers,
    ResNetConfig: Oracle,
    CLIPAViTConfig: Oracle,
    SigLIPViTConfig: SigLIP,
}


def compare(
    run: Callable[[Any, jax.Array], Any],
    params: Any,
    oracle: Callable[[torch.Tensor], Outputs],
    inputs: np.ndarray,
    head: str,
    device: str,
) -> Iterator[tuple[str, float]]:
    """Yield (output, relative error), and last the gradient of a random sum of `head`."""
    x = torch.tensor(inputs, requires_grad=True, device=device)
    wanted = oracle(x)
    direction = np.random.default_rng(1).normal(size=wanted[head].shape).astype(inputs.dtype)
    (wanted[head] * torch.tensor(direction, device=device)).sum().backward()

    def loss(x: jax.Array, params: Any) -> tuple[jax.Array, Any]:
        output = run(params, x)
        return (getattr(output, head) * direction).sum(), output

    gradient, output = jax.jit(jax.grad(loss, has_aux=True))(jnp.asarray(inputs), params)
    for name, value in wanted.items():
        pairs = zip(jax.tree.leaves(getattr(output, name)), _leaves(value), strict=True)
        yield name, max(relative_error(a, b.detach().cpu().numpy()) for a, b in pairs)
    yield "gradient", relative_error(gradient, x.grad.cpu().numpy())


def relative_error(actual: Any, desired: np.ndarray) -> float:
    """Return largest difference over largest value."""
    return float(np.abs(np.asarray(actual) - desired).max() / np.abs(desired).max())


def compare_text(config: CLIPConfig, oracle: Transformers | Oracle) -> Iterator[tuple[str, float]]:
    """Run the text tower on random embeddings, pooled in the middle, or where SigLIP's is."""
    tower, length = TextTower(config.text), config.text.positions
    at = length - 1 if config.text.pool == "last" else 9
    embeddings = np.random.default_rng(0).normal(0, 0.1, (1, length, config.text.width))
    return compare(
        lambda params, x: tower.apply({"params": params}, x, jnp.array([at])),
        oracle.params("text"),
        lambda x: oracle.text(x, at),
        embeddings.astype(np.float32),
        "projected",
        oracle.device,
    )


def compare_image(
    config: CLIPConfig, oracle: Transformers | Oracle, dtype: type = np.float32
) -> Iterator[tuple[str, float]]:
    """Run the image tower on random pixels."""
    tower, size = image_tower(config, dtype), config.vision.image_size
    pixels = np.random.default_rng(0).normal(size=(1, size, size, 3))
    return compare(
        lambda params, x: tower.apply({"params": params}, x),
        oracle.params("vision"),
        lambda x: oracle.image(x.permute(0, 3, 1, 2)),
        pixels.astype(dtype),
        "features",
        oracle.device,
    )


def rows(name: str) -> Iterator[list[Any]]:
    """Yield the table's lines of one model."""
    config = MODELS[name]
    torch.manual_seed(0)
    rectified = isinstance(config.vision, ResNetConfig)
    oracle = ORACLES[type(config.vision)](config)
    yield ["text", name, *(error for _, error in compare_text(config, oracle))]
    setattr(oracle.model, oracle.text_tower, None)  # Its memory is the image tower's from here on.
    image = dict(compare_image(config, oracle))
    if rectified:
        oracle.model.double()
        image["gradient"] = dict(compare_image(config, oracle, np.float64))["gradient"]
    yield ["image", name, *image.values()]


def main(argv: Sequence[str]) -> None:
    """Compare and print the table."""
    del argv
    jax.config.update("jax_enable_x64", True)  # What is given in float32 stays so.
    if unknown := set(_SIZES.value) - set(MODELS):
        sys.exit(f"unknown sizes {', '.join(unknown)}; there are {', '.join(MODELS)}")
    lines = [row for name in _SIZES.value for row in rows(name)]
    print(markdown_table(HEADER, [[*line[:2], *(f"{x:.1e}" for x in line[2:])] for line in lines]))
    if not all(error <= TOLERANCE for line in lines for error in line[2:]):
        sys.exit(f"above the tolerance of {TOLERANCE:.0e}")


def _leaves(value: Any) -> list[torch.Tensor]:
    return [value] if isinstance(value, torch.Tensor) else list(value)


if __name__ == "__main__":
    app.run(main)
