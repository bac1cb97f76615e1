"""Writing learned tokens, in the formats of the tools that read them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from common.choices import check_choice
from common.errors import UserError
from common.files import atomic_write
from common.paths import AnyPath, as_path
from common.weights.files import tensor_bytes
from mcti_jax.formats.read import read_file
from mcti_jax.formats.tokens import LearnedToken, file_stem
from mcti_jax.formats.torch_archive import torch_archive


@dataclass(frozen=True)
class Format:
    """How one family of tools wants an embedding.

    Attributes:
      suffix: Of the file.
      encode: Gives the file's bytes.
      usage: What to type in a prompt; {token} is the word, {stem} the file's name.
      note: Which tool does not take it; may be empty.
    """

    suffix: str
    encode: Callable[[LearnedToken], bytes]
    usage: str
    note: str = ""


def _safetensors(tensors: Mapping[str, np.ndarray], token: LearnedToken) -> bytes:
    # safetensors scrambles arrays that are not contiguous.
    whole = {key: np.ascontiguousarray(vectors) for key, vectors in tensors.items()}
    return tensor_bytes(whole, {**token.metadata, "token": token.token})


def _diffusers(token: LearnedToken) -> bytes:
    return _safetensors({token.token: token.vectors}, token)


def _kohya(token: LearnedToken) -> bytes:
    return _safetensors({"emb_params": token.vectors}, token)


def _xl(token: LearnedToken) -> bytes:
    return _safetensors(token.by_encoder, token)


def _bin(token: LearnedToken) -> bytes:
    return torch_archive({token.token: token.vectors})


def _a1111(token: LearnedToken) -> bytes:
    step = token.metadata.get("step", "")
    return torch_archive(
        {
            "string_to_token": {"*": 265},  # the id of "*" in CLIP's vocabulary
            "string_to_param": {"*": token.vectors},
            "name": token.token,
            "step": int(step) if step.isdecimal() else None,
            "sd_checkpoint": None,  # the web UI's own hash of a checkpoint file
            "sd_checkpoint_name": token.metadata.get("base_model"),
        }
    )


_DIFFUSERS = "{token} in diffusers"
_INVOKE = "InvokeAI refuses such files, for a defect of its own: give it --format=a1111 or kohya."
_OTHERS = "{stem} in a web UI, embedding:{stem} in ComfyUI"

FORMATS = {
    "diffusers": Format(".safetensors", _diffusers, f"{_DIFFUSERS}, {_OTHERS}", _INVOKE),
    "bin": Format(".bin", _bin, f"{_DIFFUSERS}, {_OTHERS}", _INVOKE),
    "a1111": Format(".pt", _a1111, f"{_OTHERS}, {_DIFFUSERS}"),
    # diffusers would call the token "emb_params".
    "kohya": Format(
        ".safetensors", _kohya, f'{_OTHERS}, {_DIFFUSERS} if loaded with token="{{token}}"'
    ),
}

_XL = Format(
    ".safetensors",
    _xl,
    f'{_DIFFUSERS} if clip_l and clip_g are loaded with token="{{token}}", {_OTHERS}',
)
"""Of tokens for Stable Diffusion XL, for which all tools have this one layout."""
_OF_XL = dict.fromkeys(("diffusers", "a1111", "kohya"), _XL)


def format_of(token: LearnedToken, format: str) -> Format:
    """Return the layout of a token's file.

    Raises:
      UserError: The format is unknown, or has no layout for Stable Diffusion XL.
    """
    check_choice("format", format, FORMATS)
    if len(token.widths) == 1:
        return FORMATS[format]
    if format not in _OF_XL:
        raise UserError(
            f"format={format} has no place for the two text encoders of Stable Diffusion XL: "
            f"give {', '.join(_OF_XL)}, which are one file for all tools."
        )
    return _OF_XL[format]


def write_token(directory: AnyPath | str, token: LearnedToken, format: str) -> AnyPath:
    """Write `token` into `directory`, in one of `FORMATS`; the file is named after the word.

    The file is read back before it gets its name, so what stands under the name is whole.

    Raises:
      UserError: The format is unknown, or the disk did not keep what was written.
    """
    layout = format_of(token, format)
    path = as_path(directory) / (file_stem(token.token) + layout.suffix)
    with atomic_write(path) as temporary:
        temporary.write_bytes(layout.encode(token))
        held = read_file(temporary)[0]
        if held.token != token.token or not np.array_equal(held.vectors, token.vectors):
            raise UserError(f"{str(path)!r} does not hold what was written; is the disk sound?")
    return path
