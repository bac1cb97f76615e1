"""Prompts that PyTorch code learned: ProText's own checkpoints, and CoOp's.

Both are Dassl's `model.pth.tar-N`. ProText keeps a whole CLIP beside its prompts, CoOp the parts of
the prompts that class names fill; neither is needed.
"""

import re
from pathlib import Path

import numpy as np

from common.clip import load_clip
from common.errors import UserError
from common.finite import require_finite
from common.paths import place_text
from common.precision import frozen_dtype
from common.text import shown
from common.weights.torch_archive import read_torch_archive
from configs.protext import defaults
from protext_jax.learned import FORMAT, LearnedPrompts
from protext_jax.prompts import FILLER, default_template
from protext_jax.trained import TrainedPrompts

_FIRST = ("prompt_learner.ctx", "ctx")
_DEEP = re.compile(r"text_encoder\.transformer\.resblocks\.(\d{1,3})\.VPT_shallow")
_OTHERS = re.compile(
    r"image_encoder\.(?:.*\.)?VPT(?:_shallow)?"
    r"|(?:prompt_learner\.)?(?:proj\.|compound_prompts_|meta_net\.).*"
)
"""Keys of other methods of the same family, such as MaPLe and CoCoOp, which prompt pictures too."""


def read_checkpoint(file: Path) -> dict[str, np.ndarray]:
    """Return {"prompts": [j t d]} of a checkpoint of ProText or of CoOp.

    Raises:
      UserError: The file is damaged, or holds prompts of another kind.
    """
    tensors = read_torch_archive(file)
    first = next((tensors[key] for key in _FIRST if key in tensors), None)
    if first is None:
        raise UserError(
            f"{shown(file)} holds no prompts of ProText or CoOp: give the model.pth.tar-N of its "
            "training."
        )
    if other := [key for key in tensors if _OTHERS.fullmatch(key)]:
        raise UserError(
            f"{shown(file)} holds {other[0]!r}, which is not of ProText or CoOp: their prompts are "
            "of text alone."
        )
    deep = {int(match[1]): x for key, x in tensors.items() if (match := _DEEP.fullmatch(key))}
    if first.ndim == 3:
        raise UserError(
            f"{shown(file)} holds prompts of each class of its own (CSC): give a checkpoint whose "
            "classes share them."
        )
    if sorted(deep) != list(range(1, len(deep) + 1)) or any(
        x.shape != first.shape or x.ndim != 2 for x in (first, *deep.values())
    ):
        raise UserError(
            f"{shown(file)} is not a checkpoint of ProText or CoOp: its prompts differ in shape "
            "or leave out a block."
        )
    blocks = [first, *(deep[block] for block in sorted(deep))]
    prompts = {"prompts": np.stack([np.asarray(x, np.float32) for x in blocks])}
    require_finite(prompts, f"{file}", "train the prompts again")
    return prompts


def load_checkpoint(file: Path | str, model: Path | str, dtype: str = "float32") -> TrainedPrompts:
    """Read a checkpoint of ProText or CoOp for the CLIP that it was trained with.

    CoOp's class names are taken to stand behind the prompts, as they do by default.

    Args:
      file: Dassl's `model.pth.tar-N`.
      model: The CLIP; the checkpoint does not name it.
      dtype: Of the model.

    Raises:
      UserError: The file holds no such prompts, or they do not fit the model.
    """
    file, model = Path(place_text(file, "the checkpoint")), place_text(model, "the model")
    arrays = read_checkpoint(file)
    depth, length, width = arrays["prompts"].shape
    clip = load_clip(model, frozen_dtype(dtype))
    text = clip.config.text
    if width != text.width or depth > text.layers:
        raise UserError(
            f"{shown(file)} holds prompts for {depth} blocks of width {width}; {model!r} has "
            f"{text.layers} of width {text.width}: give the CLIP that they were trained with."
        )
    deep = depth > 1  # CoOp's are not; its words are always fillers.
    template = default_template(length) if deep else " ".join([*[FILLER] * length, "{}."])
    config = defaults()
    config.update({"model": model, "dtype": dtype, "data": "none"})
    config.update({"length": length, "depth": depth, "template": template})
    facts = {
        "format": FORMAT,
        "base_model": model,
        "fingerprint": clip.fingerprint,
        "template": template,
        "length": str(length),
        "seed": "unknown",
        "source": file.name,
        # The reference rounds deep prompts in its forward pass.
        **({"half": "True"} if deep else {}),
    }
    return TrainedPrompts(config, LearnedPrompts(arrays, facts), model=clip)
