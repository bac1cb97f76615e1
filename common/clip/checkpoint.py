"""Loading and saving CLIP in the layouts that others publish."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from common.choices import check_choice, check_said
from common.clip import hugging_face
from common.clip.config import CLIPConfig, TextConfig
from common.clip.families import Family, family_of, find_family, small_files
from common.clip.image_size import resize
from common.clip.layers import ACTIVATIONS, repeat_block
from common.clip.model import CLIP
from common.clip.single_file import OpenedCLIP, open_clip_file
from common.clip.text import TextTower
from common.files import read_record, write_json
from common.paths import place_text
from common.precision import frozen_dtype
from common.sizes import REMEDY
from common.trees import Params
from common.weights.clip import (
    HF_IGNORE,
    HF_PROJECTED_TEXT_TOWER,
    HF_TEXT_TOWER,
    with_text_model,
)
from common.weights.files import read_tensors, write_tensors
from common.weights.fingerprint import fingerprint
from common.weights.resolve import resolve, single_file
from common.weights.table import Table, to_flax, to_source


def load_clip(
    source: Path | str,
    dtype: DTypeLike = jnp.float32,
    *,
    activation: str | None = None,
    image_size: int | None = None,
) -> CLIP:
    """Load CLIP: both towers, tokenizer and preprocessing.

    Args:
      source: "pocket", "pocket:siglip", a directory in Hugging Face's or open_clip's layout, a
        hub id, or one file: OpenAI's own `.pt`, open_clip's `epoch_N.pt`, big_vision's `.npz` of
        SigLIP, or weights beside a configuration.
      dtype: Of the weights on the host and of the activations: a dtype, or "float32", "bfloat16"
        or "auto", which is bfloat16 on accelerators.
      activation: Of the towers, "gelu" or "quick_gelu"; for a single file that does not say it.
      image_size: Side of the images in pixels, of a vision transformer; its position embeddings
        are interpolated as its own library does. None or 0 for that of the weights.

    Raises:
      UserError: The model cannot be found, is of another kind, is not one for images of this
        size, or its weights and its configuration disagree; the message lists the entries.
    """
    dtype = frozen_dtype(dtype) if isinstance(dtype, str) else dtype
    clip = resize(find_and_open(source, activation), image_size)
    config, tokenizer, family = clip.config, clip.tokenizer, clip.family
    tokenizer.require_rows(config.text.vocab_size, clip.place)
    # Published configurations hold wrong special ids; the tokenizer's are the ones in use.
    special = {"bos": tokenizer.bos, "eos": tokenizer.eos, "pad": tokenizer.pad}
    config = dataclasses.replace(config, text=dataclasses.replace(config.text, **special))

    tensors = clip.tensors()
    options = {"ignore": family.ignore, "expected": abstract_params(config), "dtype": dtype}
    params = to_flax(family.table, tensors, **options)
    name = fingerprint(params, repr(config))
    return CLIP(config, params, tokenizer, clip.preprocess, name, dtype)


def find_and_open(source: Path | str, activation: str | None = None) -> OpenedCLIP:
    """Find a CLIP and read all but its weights; the arguments are those of `load_clip`.

    Raises:
      UserError: The model cannot be found, is of another kind, or its activation is not known or
        not the one that is asked for.
    """
    if activation is not None:
        check_choice("activation", activation, ACTIVATIONS)
    source = place_text(source, "the model")
    file = single_file(source)
    opened = open_clip_file(file, activation) if file else _open_folder(source)
    towers = (opened.config.text, opened.config.vision)
    check_said("activation", activation, [x.activation for x in towers if hasattr(x, "activation")])
    opened.tokenizer.fit_into(opened.config.text.positions)
    return opened


def _open_folder(source: str) -> OpenedCLIP:
    directory, family = find_clip(source)
    written = read_record(directory / family.config_file, REMEDY)
    config = family.read_config(written)
    return OpenedCLIP(
        config,
        family,
        family.read_preprocess(directory, written, config.vision.image_size),
        family.read_tokenizer(directory),
        lambda: read_tensors(directory, family.stem),
        directory,
    )


def save_clip(clip: CLIP, directory: Path | str) -> None:
    """Write what `load_clip` reads: Hugging Face's layout, or for a ResNet open_clip's."""
    directory = Path(directory)
    family = family_of(clip.config)
    clip.tokenizer.save(directory)
    for name, content in family.files(clip.config, clip.preprocess).items():
        write_json(directory / name, content)
    tensors = to_source(family.table, clip.params)
    write_tensors(directory / f"{family.stem}.safetensors", tensors, {"format": "pt"})


def load_text_tower(
    directory: Path | str, dtype: DTypeLike | None = jnp.float32, *, projected: bool = False
) -> tuple[TextConfig, dict[str, Any]]:
    """Load a text tower alone, such as Stable Diffusion's `text_encoder/`.

    Args:
      directory: Holds its configuration and its weights.
      dtype: Of the weights; None leaves them as they are.
      projected: Whether it has a projection, as XL's `text_encoder_2/`.

    Raises:
      UserError: The directory is incomplete, or weights and configuration disagree.
    """
    directory = Path(directory)
    read = hugging_face.projected_text_from_json if projected else hugging_face.text_from_json
    config = read(read_record(directory / "config.json", REMEDY))
    tensors = read_text_tensors(directory)
    options = {"ignore": HF_IGNORE, "expected": abstract_text(config), "dtype": dtype}
    return config, to_flax(text_table(config), tensors, **options)


def save_text_tower(config: TextConfig, params: Mapping[str, Any], directory: Path | str) -> None:
    """Write what `load_text_tower` reads."""
    directory = Path(directory)
    write_json(directory / "config.json", hugging_face.text_to_json(config))
    tensors = to_source(text_table(config), params)
    write_tensors(directory / "model.safetensors", tensors, {"format": "pt"})


def text_table(config: TextConfig) -> Table:
    """Return the table of a text tower alone in Hugging Face's layout."""
    return HF_TEXT_TOWER if config.projection is None else HF_PROJECTED_TEXT_TOWER


def find_clip(source: str) -> tuple[Path, Family]:
    """Find a CLIP's directory, fetching its files where needed, and its family.

    Raises:
      UserError: There is no such directory, or it does not hold a CLIP.
    """
    directory = resolve(source, small_files())
    if source == "pocket":
        directory = directory / "clip"
    family = find_family(directory)
    # Only now is it known which of a repository's weight files are CLIP's.
    resolve(source, [], [family.stem])
    return directory, family


def read_text_tensors(directory: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a text tower alone, under their published keys."""
    return with_text_model(read_tensors(directory))


def abstract_params(config: CLIPConfig) -> Params:
    """Return the shapes and dtypes of `CLIP.params`, without computing them."""
    family, side = family_of(config), config.vision.image_size
    pixels = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    # Layers are alike, and tracing each takes its time.
    alike = isinstance(config.vision.layers, int)
    vision = dataclasses.replace(config.vision, layers=1) if alike else config.vision
    tower = family.image_tower(vision)
    shapes = jax.eval_shape(tower.init, jax.random.key(0), pixels)["params"]
    vision = repeat_block(shapes, config.vision.layers) if alike else shapes
    scale = jax.ShapeDtypeStruct((), jnp.float32)
    text = abstract_text(config.text, family.text_tower)
    return {"text": text, "vision": vision, **dict.fromkeys(family.scalars, scale)}


def abstract_text(config: TextConfig, text_tower: Callable[..., TextTower] = TextTower) -> Params:
    """Return the shapes and dtypes of a text tower's parameters, without computing them."""
    embeddings, at = jnp.zeros((1, 1, config.width)), jnp.zeros(1, int)
    tower = text_tower(dataclasses.replace(config, layers=1))
    shapes = jax.eval_shape(tower.init, jax.random.key(0), embeddings, at)["params"]
    return repeat_block(shapes, config.layers)
