"""Loading and saving Stable Diffusion in diffusers' layout."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from common.choices import check_choice, check_said
from common.clip.checkpoint import abstract_text, load_text_tower, save_text_tower
from common.clip.tokenizer import Tokenizer
from common.diffusion.architecture import (
    INDEX,
    Architecture,
    XLArchitecture,
    architecture_class,
    read_architecture,
)
from common.diffusion.assembly import Tokenizers, facts_of, make_model, make_modules, with_ids
from common.diffusion.assembly import abstract_unet as abstract_unet
from common.diffusion.assembly import abstract_vae as abstract_vae
from common.diffusion.file_parts import PREDICTIONS
from common.diffusion.known import KNOWN
from common.diffusion.model import StableDiffusion, StableDiffusionXL
from common.diffusion.single_file import open_single_file
from common.diffusion.text_encoder import FIRST, SECOND
from common.diffusion.unet import UNet
from common.diffusion.vae import AutoencoderKL
from common.files import write_json
from common.paths import place_text
from common.precision import frozen_dtype
from common.trees import Params
from common.weights.diffusion import VAE, unet_table, vae_to_flax
from common.weights.files import read_tensors, write_tensors
from common.weights.fingerprint import fingerprint
from common.weights.resolve import resolve, single_file
from common.weights.table import check_complete, to_flax, to_source

STEM = "diffusion_pytorch_model"
"""The name of the weights of a network, without suffix."""

_SMALL_FILES = (
    INDEX,
    "unet/config.json",
    "vae/config.json",
    "text_encoder/config.json",
    "scheduler/scheduler_config.json",
    "tokenizer/*",
)
_SMALL_XL_FILES = (*_SMALL_FILES, "text_encoder_2/config.json", "tokenizer_2/*")
_WEIGHTS = (f"unet/{STEM}", f"vae/{STEM}")
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
_XL_INDEX = {name: _MODEL_INDEX[name] for name in _MODEL_INDEX if "safety" not in name} | {
    "_class_name": "StableDiffusionXLPipeline",
    "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
    "tokenizer_2": ["transformers", "CLIPTokenizer"],
}


def load_stable_diffusion(
    source: Path | str,
    dtype: DTypeLike = jnp.float32,
    *,
    attention: str = "plain",
    remat: str = "none",
    prediction: str | None = None,
    networks: bool = True,
) -> StableDiffusion:
    """Load Stable Diffusion 1.x, 2.x or XL.

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
    if prediction is not None:
        check_choice("prediction", prediction, PREDICTIONS)
    source = place_text(source, "the model")
    file = single_file(source)
    read = _read_file(file, dtype, prediction) if file else _read_directory(source, networks, dtype)
    check_said("prediction", prediction, [read.architecture.schedule.prediction_type])
    sizes = with_ids(read.architecture, read.tokenizers)
    sizes.require_fit()
    modules = make_modules(sizes, dtype, attention, remat)
    params, facts = read.text_params, list(map(repr, sizes.texts.values()))
    if networks:
        params = read.networks()
        expected = {"unet": abstract_unet(modules.unet), "vae": abstract_vae(modules.vae)}
        check_complete(params, expected)
        params, facts = params | read.text_params, facts_of(sizes)
    return make_model(sizes, modules, read.tokenizers, params, fingerprint(params, *facts))


@dataclass(frozen=True)
class _Read:
    """What a directory or a file holds; `networks` converts the weights of UNet and autoencoder."""

    architecture: Architecture
    text_params: dict[str, Params]
    tokenizers: Tokenizers
    networks: Callable[[], dict[str, Params]]


def _read_directory(source: str, networks: bool, dtype: DTypeLike) -> _Read:
    directory = find_directory(source, networks)
    sizes = read_architecture(directory)
    tokenizers, text_params = {}, {}
    for part, config in sizes.texts.items():
        tokenizers[part] = Tokenizer.from_directory(directory / part.tokenizer)
        projected = config.projection is not None
        _, params = load_text_tower(directory / part.folder, dtype, projected=projected)
        text_params[part.params] = params
        tokenizers[part].require_rows(config.vocab_size, directory / part.tokenizer)

    def read_networks() -> dict[str, Params]:
        table = unet_table(sizes.unet.use_linear_projection)
        return {
            "unet": to_flax(table, read_tensors(directory / "unet", STEM), dtype=dtype),
            "vae": vae_to_flax(read_tensors(directory / "vae", STEM), dtype),
        }

    return _Read(sizes, text_params, tokenizers, read_networks)


def find_directory(source: str, networks: bool = True) -> Path:
    """Return a model's directory in diffusers' layout, its files fetched where needed.

    Raises:
      UserError: There is none, or the hub cannot give it.
    """
    weights = [*(_WEIGHTS if networks else ()), f"{FIRST.folder}/model"]
    xl = _SMALL_XL_FILES, [*weights, f"{SECOND.folder}/model"]
    if isinstance(KNOWN.get(source), XLArchitecture):
        return resolve(source, *xl)  # What it lacks is named at once.
    directory = resolve(source, _SMALL_FILES, weights)
    if source == "pocket":
        return directory / "sd"
    return resolve(source, *xl) if architecture_class(directory) is XLArchitecture else directory


def _read_file(file: Path, dtype: DTypeLike, prediction: str | None) -> _Read:
    sd = open_single_file(file, prediction)
    text_params = {}
    for part, config in sd.architecture.texts.items():
        sd.tokenizers[part].require_rows(config.vocab_size, sd.place)
        text_params[part.params] = sd.parts[part.folder].to_flax(abstract_text(config), dtype)

    def read_networks() -> dict[str, Params]:
        return {name: sd.parts[name].to_flax(dtype=dtype) for name in ("unet", "vae")}

    return _Read(sd.architecture, text_params, sd.tokenizers, read_networks)


def save_stable_diffusion(model: StableDiffusion, directory: Path | str) -> None:
    """Write what `load_stable_diffusion` and diffusers' pipeline of the same kind read."""
    directory = Path(directory)
    table = unet_table(model.unet.config.use_linear_projection)
    _save_network(model.unet, to_source(table, model.params["unet"]), directory / "unet")
    _save_network(model.vae, to_source(VAE, model.params["vae"]), directory / "vae")
    for encoder, tokenizer in zip(model.modules.text_encoders, model.tokenizers, strict=True):
        part, text = encoder.part, encoder.tower.config
        save_text_tower(text, model.params[part.params], directory / part.folder)
        # diffusers' pipeline pads prompts to the length that it finds there.
        tokenizer.save(directory / part.tokenizer, text.positions)
    scheduler = model.schedule.to_dict()
    write_json(directory / "scheduler/scheduler_config.json", scheduler)
    # Last, so that an interrupted directory is not taken for a complete one.
    name = str(scheduler.get("_class_name"))
    known = name.isidentifier() and name.endswith("Scheduler")
    index = {"scheduler": ["diffusers", name]} if known else {}
    usual = _MODEL_INDEX
    if isinstance(model, StableDiffusionXL):
        usual = _XL_INDEX | {"force_zeros_for_empty_prompt": model.zeroes_negative}
    write_json(directory / INDEX, usual | index)


def _save_network(
    network: UNet | AutoencoderKL, tensors: Mapping[str, np.ndarray], directory: Path
) -> None:
    write_json(directory / "config.json", network.config.to_dict())
    write_tensors(directory / f"{STEM}.safetensors", tensors, {"format": "pt"})
