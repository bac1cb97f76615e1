"""Loading and saving Stable Diffusion in diffusers' layout."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from common.clip.checkpoint import abstract_text, load_text_tower, save_text_tower
from common.clip.text import TextTower
from common.clip.tokenizer import Tokenizer
from common.diffusion.architecture import Architecture
from common.diffusion.config import UNetConfig, VAEConfig
from common.diffusion.model import StableDiffusion
from common.diffusion.parts import Modules
from common.diffusion.single_file import open_single_file
from common.diffusion.unet import UNet
from common.diffusion.vae import AutoencoderKL
from common.errors import UserError
from common.files import write_json
from common.precision import frozen_dtype
from common.trees import Params
from common.weights.diffusion import VAE, unet_table, vae_to_flax
from common.weights.files import read_tensors, write_tensors
from common.weights.fingerprint import fingerprint
from common.weights.resolve import resolve, single_file
from common.weights.table import check_complete, to_flax, to_source

_STEM = "diffusion_pytorch_model"
_SMALL_FILES = (
    "model_index.json",
    "unet/config.json",
    "vae/config.json",
    "text_encoder/config.json",
    "scheduler/scheduler_config.json",
    "tokenizer/*",
)
_WEIGHTS = (f"unet/{_STEM}", f"vae/{_STEM}", "text_encoder/model")
# Written so that diffusers' own pipeline reads what `save_stable_diffusion` writes.
_MODEL_INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.35.0",
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def load_stable_diffusion(
    source: str,
    dtype: DTypeLike = jnp.float32,
    *,
    attention: str = "plain",
    remat: str = "none",
    prediction: str | None = None,
    networks: bool = True,
) -> StableDiffusion:
    """Load Stable Diffusion 1.x or 2.x.

    Args:
      source: "pocket", a directory in diffusers' layout, a hub id, or one file in the layout of
        web UIs, `.safetensors` or `.ckpt`.
      dtype: Of the weights on the host and of the activations: a dtype, or "float32", "bfloat16"
        or "auto", which is bfloat16 on accelerators.
      attention: A key of `common.attention.IMPLEMENTATIONS`, for UNet and autoencoder.
      remat: What the UNet's backward pass recomputes; see `UNet`.
      prediction: What the UNet predicts, "epsilon" or "v_prediction"; for a single file of 2.x,
        which does not say it.
      networks: Whether the weights of UNet and autoencoder are loaded. Without them the text
        encoder can be used, and nothing can be drawn.

    Raises:
      UserError: The model cannot be found, is of another kind, or its files disagree.
    """
    dtype = frozen_dtype(dtype) if isinstance(dtype, str) else dtype
    file = single_file(source)
    stems = _WEIGHTS if networks else _WEIGHTS[-1:]
    read = _read_file(file, dtype, prediction) if file else _read_directory(source, stems, dtype)
    sizes, tokenizer = read.architecture, read.tokenizer
    unet = UNet(sizes.unet, dtype, attention, remat)
    vae = AutoencoderKL(sizes.vae, dtype, attention)
    # Published configurations hold wrong special ids; the tokenizer's are the ones in use.
    special = {"bos": tokenizer.bos, "eos": tokenizer.eos, "pad": tokenizer.pad}
    text_tower = TextTower(dataclasses.replace(sizes.text, **special), dtype)
    _check_fit(unet.config, vae.config, text_tower.config.width)

    modules = Modules(unet, vae, text_tower, sizes.schedule)
    text = {"text": read.text_params}
    if not networks:
        name = fingerprint(text, repr(text_tower.config))
        return StableDiffusion(modules, tokenizer, text, name)
    params = read.networks()
    check_complete(params, {"unet": abstract_unet(unet), "vae": abstract_vae(vae)})
    params |= text
    facts = (unet.config, vae.config, text_tower.config, sizes.schedule)
    return StableDiffusion(modules, tokenizer, params, fingerprint(params, *map(repr, facts)))


@dataclasses.dataclass(frozen=True)
class _Read:
    """What a directory or a file holds; `networks` converts the weights of UNet and autoencoder."""

    architecture: Architecture
    text_params: Params
    tokenizer: Tokenizer
    networks: Callable[[], dict[str, Params]]


def _read_directory(source: str, stems: Sequence[str], dtype: DTypeLike) -> _Read:
    directory = resolve(source, _SMALL_FILES, stems)
    if source == "pocket":
        directory = directory / "sd"
    sizes = Architecture.from_directory(directory)
    tokenizer = Tokenizer.from_directory(directory / "tokenizer")
    _, text_params = load_text_tower(directory / "text_encoder", dtype)
    tokenizer.require_rows(sizes.text.vocab_size, directory / "tokenizer")

    def networks() -> dict[str, Params]:
        table = unet_table(sizes.unet.use_linear_projection)
        return {
            "unet": to_flax(table, read_tensors(directory / "unet", _STEM), dtype=dtype),
            "vae": vae_to_flax(read_tensors(directory / "vae", _STEM), dtype),
        }

    return _Read(sizes, text_params, tokenizer, networks)


def _read_file(file: Path, dtype: DTypeLike, prediction: str | None) -> _Read:
    sd = open_single_file(file, prediction)
    sizes = sd.architecture.text
    sd.tokenizer.require_rows(sizes.vocab_size, sd.place)
    text = sd.parts["text_encoder"].to_flax(abstract_text(sizes), dtype)

    def networks() -> dict[str, Params]:
        return {name: sd.parts[name].to_flax(dtype=dtype) for name in ("unet", "vae")}

    return _Read(sd.architecture, text, sd.tokenizer, networks)


def save_stable_diffusion(model: StableDiffusion, directory: Path | str) -> None:
    """Write what `load_stable_diffusion` and diffusers' `StableDiffusionPipeline` read."""
    directory = Path(directory)
    table = unet_table(model.unet.config.use_linear_projection)
    _save_network(model.unet, to_source(table, model.params["unet"]), directory / "unet")
    _save_network(model.vae, to_source(VAE, model.params["vae"]), directory / "vae")
    save_text_tower(model.text_tower.config, model.params["text"], directory / "text_encoder")
    # diffusers' pipeline pads prompts to the length that it finds there.
    model.tokenizer.save(directory / "tokenizer", model.text_tower.config.positions)
    scheduler = model.schedule.to_dict()
    write_json(directory / "scheduler/scheduler_config.json", scheduler)
    # Last, so that an interrupted directory is not taken for a complete one.
    name = str(scheduler.get("_class_name"))
    known = name.isidentifier() and name.endswith("Scheduler")
    index = {"scheduler": ["diffusers", name]} if known else {}
    write_json(directory / "model_index.json", _MODEL_INDEX | index)


def abstract_unet(unet: UNet) -> Params:
    """Return the shapes and dtypes of a UNet's parameters, without computing them."""
    side = 2 ** (len(unet.config.block_out_channels) - 1)
    latents = jnp.zeros((1, side, side, unet.config.in_channels))
    states = jnp.zeros((1, 1, unet.config.cross_attention_dim))
    return _abstract(unet, latents, jnp.zeros(1), states)


def abstract_vae(vae: AutoencoderKL) -> Params:
    """Return the shapes and dtypes of an autoencoder's parameters, without computing them."""
    side = vae.config.downsampling
    return _abstract(vae, jnp.zeros((1, side, side, vae.config.in_channels)))


def _abstract(module: nn.Module, *inputs: jax.Array) -> Params:
    return jax.eval_shape(module.init, jax.random.key(0), *inputs)["params"]


def _check_fit(unet: UNetConfig, vae: VAEConfig, text_width: int) -> None:
    if unet.cross_attention_dim != text_width:
        raise UserError(
            f"the UNet attends to text states of width {unet.cross_attention_dim}, the text "
            f"encoder makes {text_width}; they belong to different models."
        )
    if {unet.in_channels, unet.out_channels} != {vae.latent_channels}:
        raise UserError(
            f"the UNet maps {unet.in_channels} channels to {unet.out_channels}, the "
            f"autoencoder's latents have {vae.latent_channels}; inpainting and upscaling "
            "models are not supported."
        )


def _save_network(
    network: UNet | AutoencoderKL, tensors: Mapping[str, np.ndarray], directory: Path
) -> None:
    write_json(directory / "config.json", network.config.to_dict())
    write_tensors(directory / f"{_STEM}.safetensors", tensors, {"format": "pt"})
