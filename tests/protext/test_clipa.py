"""ProText on CLIPA, whose text tower has a start token and is not causal, at another image size."""

import json

import numpy as np
import pytest

import protext_jax
from common.clip import load_clip, save_clip
from common.data import Dataset
from common.errors import UserError
from common.training import train
from configs.protext import get_config
from protext_jax.classifier import class_features
from protext_jax.learned import LearnedPrompts
from protext_jax.measuring import measure_prompts
from protext_jax.method import ProText
from tests.clip.published import small_clipa

pytestmark = pytest.mark.usefixtures("quick_compiler")
CORPUS = {
    "dog": ["a dog", "a photo of a dog", "the dog"],
    "cat": ["a cat", "a photo of a cat", "cats"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clipa")
    save_clip(small_clipa(folder), folder)
    (folder / "corpus.json").write_text(json.dumps(CORPUS))
    return folder


@pytest.fixture(scope="module")
def photos():
    rng = np.random.default_rng(0)
    pictures = list(rng.integers(0, 256, (6, 40, 50, 3), np.uint8))
    labels = np.repeat(np.arange(2), 3)
    return Dataset.from_arrays(pictures, labels, ("dog", "cat"), test=(pictures, labels))


def test_words_of_the_template_as_prompts_change_nothing(folder):
    clip = load_clip(str(folder))
    words = clip.params["text"]["token_embedding"][clip.tokenizer.encode("a photo")]
    learned = LearnedPrompts({"prompts": np.asarray(words)[None]}, {})
    found = class_features(clip, learned, "a photo {}", ["cat", "dog"])
    np.testing.assert_allclose(found, clip.text_features(["a photo cat", "a photo dog"]), atol=1e-5)


def test_a_run_remembers_its_image_size(folder, photos, tmp_path):
    config = get_config(
        {
            "model": str(folder),
            "image_size": 42,
            "prompts.source": f"json:{folder / 'corpus.json'}",
            "data": photos.spec,
            "protocol": "all_classes",
            "length": 2,
            "template": "a photo {}",
            "test_template": "a photo {}",
            "depth": 2,
            "held_out": 1,
            "epochs": 4,
            "cache": str(tmp_path / "cache"),
            "compile_cache": "",
            "mesh.data": 1,
            "progress": False,
            "baselines": (),
        }
    )
    result = train(ProText(config), tmp_path / "run")
    run = protext_jax.load(tmp_path / "run")
    clip = load_clip(str(folder), image_size=42)
    assert run.clip.fingerprint == clip.fingerprint
    assert clip.fingerprint != load_clip(str(folder)).fingerprint
    test = [photos.test.load(row) for row in range(len(photos.test))]
    cosines = clip.image_features(test) @ run.class_features().T
    np.testing.assert_array_equal(run.classify(test).labels, cosines.argmax(axis=1))
    accuracy = np.mean(cosines.argmax(axis=1) == photos.test.labels)
    assert result["metrics"]["accuracy"] == accuracy
    again = measure_prompts(run.config, tmp_path / "run", None, None)
    assert again.metrics["accuracy"] == accuracy


def test_a_size_that_no_model_has_is_refused_before_anything_is_written(folder, tmp_path):
    changes = {"model": str(folder), "image_size": 5, "data": "none", "epochs": 4}
    source = {"prompts.source": f"json:{folder / 'corpus.json'}"}
    with pytest.raises(UserError, match="image_size=5 is not a whole number from 14"):
        train(ProText(get_config(changes | source)), tmp_path / "run")
    assert not (tmp_path / "run").exists()
