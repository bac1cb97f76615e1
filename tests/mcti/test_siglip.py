"""MC-TI's tokens are read by the text towers of two models, which SigLIP is not one of."""

import pytest

from common.clip import load_clip, save_clip
from common.clip.siglip_tokenizer import SigLIPTokenizer
from common.diffusion import load_stable_diffusion
from common.errors import UserError
from configs.mcti import get_config
from mcti_jax.material import require_same_width
from tests.clip.siglip_models import small_siglip, write_tokenizer


def test_siglip_is_refused_in_one_sentence(tmp_path):
    write_tokenizer(tmp_path, "siglip")
    save_clip(small_siglip(SigLIPTokenizer.from_directory(tmp_path)), tmp_path)
    sentence = r"^clip='.*': MC-TI needs a causal text tower, and in this model's every token sees"
    with pytest.raises(UserError, match=sentence):
        config = get_config({"clip": str(tmp_path)})
        require_same_width(load_stable_diffusion("pocket"), load_clip(str(tmp_path)), config)
