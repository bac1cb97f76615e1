"""Models with NaN, infinity or other shapes among their weights: CLIP, Stable Diffusion, GPT."""

import shutil

import numpy as np
import pytest

from common.clip import load_clip
from common.convert import convert
from common.diffusion import load_stable_diffusion
from common.errors import UserError
from common.language import load_lm
from common.weights.files import read_tensors, write_tensors
from common.weights.resolve import POCKET

PARTS = {
    "CLIP": ("clip", "model", load_clip),
    "the UNet": ("sd", "unet/diffusion_pytorch_model", load_stable_diffusion),
    "the autoencoder": ("sd", "vae/diffusion_pytorch_model", load_stable_diffusion),
    "the text encoder": ("sd", "text_encoder/model", load_stable_diffusion),
    "the language model": ("lm", "model", load_lm),
    "what is converted": ("clip", "model", lambda source: convert(source, POCKET / "nowhere")),
}


@pytest.mark.parametrize(("folder", "stem", "load"), PARTS.values(), ids=PARTS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_one_number_is_enough(tmp_path, folder, stem, load, value):
    model = tmp_path / folder
    shutil.copytree(POCKET / folder, model)
    file = model / f"{stem}.safetensors"
    tensors = dict(read_tensors(file))
    name = sorted(tensors)[-1]
    tensors[name] = tensors[name].copy()
    tensors[name].flat[-1] = value
    write_tensors(file, tensors, {"format": "pt"})
    with pytest.raises(UserError, match=r"holds NaN or infinite numbers in .*: download"):
        load(str(model))


@pytest.mark.parametrize("shape", [(7,), (3, 3, 3, 3)])
@pytest.mark.parametrize("part", list(PARTS)[:5])
def test_one_tensor_of_another_shape(tmp_path, part, shape):
    folder, stem, load = PARTS[part]
    model = tmp_path / folder
    shutil.copytree(POCKET / folder, model)
    file = model / f"{stem}.safetensors"
    tensors = dict(read_tensors(file))
    # Of the autoencoder an attention's map, which older files hold as a convolution.
    named = [name for name in sorted(tensors) if ".attentions." in name or "vae" not in stem]
    name = next(name for name in reversed(named) if tensors[name].ndim == 2)
    write_tensors(file, tensors | {name: np.zeros(shape, np.float32)}, {"format": "pt"})
    with pytest.raises(UserError, match=r"wrong shapes|does not have the axes|does not divide"):
        load(str(model))
