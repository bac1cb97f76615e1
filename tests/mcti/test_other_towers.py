"""MC-TI's tokens are read by two text towers: SigLIP's and MetaCLIP 2's are not such as CLIP's."""

import pytest

from common.clip import load_clip, save_clip
from common.clip.siglip_tokenizer import SigLIPTokenizer
from common.diffusion import load_stable_diffusion
from common.errors import UserError
from configs.mcti import get_config
from mcti_jax.readers import require_same_width
from tests.clip import metaclip2_models
from tests.clip.metaclip2_models import small_metaclip2
from tests.clip.siglip_models import small_siglip, write_tokenizer


def test_siglip_is_refused_in_one_sentence(tmp_path):
    write_tokenizer(tmp_path, "siglip")
    save_clip(small_siglip(SigLIPTokenizer.from_directory(tmp_path)), tmp_path)
    sentence = r"^clip='.*': MC-TI needs a causal text tower, and in this model's every token sees"
    with pytest.raises(UserError, match=sentence):
        config = get_config({"clip": str(tmp_path)})
        require_same_width(load_stable_diffusion("pocket"), load_clip(str(tmp_path)), config)


def test_another_vocabulary_is_refused_whatever_its_width(tmp_path, monkeypatch):
    monkeypatch.setitem(metaclip2_models.TEXT, "width", 128)
    save_clip(small_metaclip2(tmp_path), tmp_path)
    config = get_config({"clip": str(tmp_path)})
    sentence = r"^model='pocket' begins .* tokens 1408 and 1409 but clip='.*' with 0 and 2: choose"
    with pytest.raises(UserError, match=sentence):
        require_same_width(load_stable_diffusion("pocket"), load_clip(str(tmp_path)), config)
