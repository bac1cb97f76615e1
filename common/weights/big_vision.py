"""big_vision's own files (`.npz`) of SigLIP, whose layout changed over the years."""

import re
from pathlib import Path

import ml_dtypes
import numpy as np

from common.errors import UserError
from common.text import shown
from common.weights.npz import read_npz

_PARAMS = "params/"
_STACKED = re.compile(r"(.*/encoderblock)/(.*)")
"""Blocks that were run by a loop are one array, blocks in front."""
_HEAD, _WIDE = "txt/head/{}", "txt/Embed_0/embedding"


def read_big_vision(path: Path) -> dict[str, np.ndarray]:
    """Read a file as `{key: array}`, such as `img/Transformer/encoderblock_0/LayerNorm_0/scale`.

    Arrays that are stacked by block become one for each, and an early text tower that has no
    projection gets the identity, which computes the same.

    Raises:
      UserError: The file is damaged, or holds more than arrays.
    """
    try:
        arrays = read_npz(path)
    except ValueError as error:
        raise UserError(f"{shown(path)} is not an npz file of weights ({error}).") from error
    if any(key.startswith(_PARAMS) for key in arrays):
        # Beside the weights, a checkpoint of training holds the state of its optimizer.
        arrays = {
            key.removeprefix(_PARAMS): array
            for key, array in arrays.items()
            if key.startswith(_PARAMS)
        }
    tensors: dict[str, np.ndarray] = {}
    for key, array in arrays.items():
        array = array.view(ml_dtypes.bfloat16) if array.dtype == np.dtype("V2") else array
        if (match := _STACKED.fullmatch(key)) and array.ndim:
            named = {f"{match[1]}_{i}/{match[2]}": part for i, part in enumerate(array)}
        else:
            named = {key: array}
        tensors |= named
    kernel, bias = map(_HEAD.format, ("kernel", "bias"))
    if _WIDE in tensors and tensors[_WIDE].ndim == 2 and not {kernel, bias} & tensors.keys():
        width = tensors[_WIDE].shape[1]
        tensors |= {kernel: np.eye(width, dtype=np.float32), bias: np.zeros(width, np.float32)}
    return tensors
