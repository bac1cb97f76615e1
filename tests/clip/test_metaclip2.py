"""MetaCLIP 2 without PyTorch: its files, its tokens, and what is refused."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tokenizers

from common.clip import load_clip, save_clip
from common.clip.families import family_of, find_family
from common.clip.families.metaclip2 import METACLIP2
from common.clip.metaclip2_files import metaclip2_from_json
from common.clip.metaclip2_tokenizer import MetaCLIP2Tokenizer
from common.errors import UserError
from common.files import write_json
from tests.clip.metaclip2_models import SENTENCES, small_metaclip2, write_tokenizer

pytestmark = pytest.mark.usefixtures("quick_compiler")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return small_metaclip2(tmp_path_factory.mktemp("words"))


def test_what_is_saved_is_loaded(clip, tmp_path):
    save_clip(clip, tmp_path)
    assert find_family(tmp_path) is family_of(clip.config) is METACLIP2
    again = load_clip(str(tmp_path))
    assert (again.config, again.preprocess) == (clip.config, clip.preprocess)
    assert again.tokenizer.fingerprint == clip.tokenizer.fingerprint
    jax.tree.map(np.testing.assert_array_equal, again.params, clip.params)
    content = json.loads((tmp_path / "config.json").read_text())
    assert content["model_type"] == "metaclip_2"
    assert content["text_config"]["eos_token_id"] == 2
    alone = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert alone.encode("a cat").ids == [0, *clip.tokenizer.encode("a cat"), 2]


def test_words_stand_between_start_and_end(clip):
    tokenizer = clip.tokenizer
    assert (tokenizer.bos, tokenizer.eos, tokenizer.pad, tokenizer.specials) == (0, 2, 1, 2)

    def words(text):
        return [tokenizer.word(number) for number in tokenizer.encode(text)]

    assert words("eine  Katze") == ["eine", "Katze"]
    assert words("Katzen") == ["Katze", "-n"]
    assert words("ネコのネコ") == ["ネコ", "-の", "-ネ", "-コ"]
    assert words("a ✓") == ["a", "", "-<unk>"]
    rows = tokenizer(SENTENCES, truncate=True)
    assert rows.shape == (len(SENTENCES), 16)
    np.testing.assert_array_equal(rows[3, :3], [0, 2, 1])
    assert (rows[:, 0] == 0).all() and rows[5, -1] == 2


def test_a_text_is_read_at_its_first_end(clip):
    rows = clip.tokenizer(["a cat", "eine Katze"])
    np.testing.assert_array_equal(clip.text_tower.pool_at(jnp.asarray(rows)), [3, 3])


def test_words_of_many_languages_are_told_apart(clip):
    features = clip.text_features(["a cat", "eine Katze", "ネコ"])
    assert np.abs(features @ features.T - np.eye(3)).max() > 0.1
    assert len(np.unique(np.round(features, 4), axis=0)) == 3


def test_words_of_mt5_are_refused(clip):
    content = METACLIP2.files(clip.config, clip.preprocess)["config.json"]
    content["text_config"]["eos_token_id"] = 1
    with pytest.raises(UserError, match="eos_token_id"):
        metaclip2_from_json(content)


def test_another_tower_is_refused(clip):
    content = METACLIP2.files(clip.config, clip.preprocess)["config.json"]
    content["vision_config"]["model_type"] = "clip_vision_model"
    with pytest.raises(UserError, match="model_type"):
        metaclip2_from_json(content)


def test_a_tokenizer_without_a_start_is_refused(tmp_path):
    write_tokenizer(tmp_path)
    file = tmp_path / "tokenizer.json"
    content = json.loads(file.read_text())
    content["model"]["vocab"][0][0] = "<start>"
    write_json(file, content)
    with pytest.raises(UserError, match="no piece '<s>'"):
        MetaCLIP2Tokenizer.from_directory(tmp_path)


def test_a_folder_without_words_says_where_they_are(tmp_path):
    with pytest.raises(UserError, match="copy that of facebook/xlm-v-base"):
        MetaCLIP2Tokenizer.from_directory(tmp_path)
