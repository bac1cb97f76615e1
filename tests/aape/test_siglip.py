"""AAPE on SigLIP: texts at their full length, and the baselines that learn a context."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import aape_jax
from aape_jax.classification.baselines.context import CoOp, context_prompts
from common.clip import load_clip, save_clip
from common.clip.siglip_tokenizer import SigLIPTokenizer
from common.data import Dataset
from common.data.clip_features import features_and_grids
from common.data.clip_texts import text_features
from common.training import train
from common.training.method import find_method
from configs.aape import get_config
from tests.aape.problem import vectors
from tests.clip.siglip_models import TOKENIZERS, VISION, small_siglip, write_tokenizer

pytestmark = pytest.mark.usefixtures("quick_compiler")
NAMES = ("red star", "fish", "circle")


@pytest.fixture(scope="module", params=TOKENIZERS)
def folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    write_tokenizer(folder, request.param)
    save_clip(small_siglip(SigLIPTokenizer.from_directory(folder), positions=32), folder)
    return folder


@pytest.fixture(scope="module")
def clip(folder):
    return load_clip(str(folder))


@pytest.fixture(scope="module")
def photos():
    rng = np.random.default_rng(0)
    shades = rng.integers(0, 256, (3, 1, 1, 3))
    noise = rng.integers(-20, 20, (3, 8, 24, 24, 3))
    pictures = np.clip(shades[:, None] + noise, 0, 255).astype(np.uint8).reshape(-1, 24, 24, 3)
    labels = np.repeat(np.arange(3), 8)
    return Dataset.from_arrays(list(pictures), labels, NAMES, test=(list(pictures), labels))


def test_cached_features_of_texts_are_those_at_full_length(clip, tmp_path):
    texts = ["a cat", "a photo of two dogs", "a cat"]
    found = text_features(clip, texts, tmp_path)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    np.testing.assert_allclose(found, clip.text_features(texts), atol=1e-6)


def test_cells_of_photos(clip, photos, tmp_path):
    features, cells = features_and_grids(clip, photos.test, tmp_path)
    assert features.shape == (24, VISION["width"]) and cells.shape == (24, 16, VISION["width"])


def test_a_run_with_contexts_beside_it(request, folder, photos, tmp_path):
    # Of the second kind, whose tokenizer alone is another, only the start of a context is tried.
    contexts = ("coop", "cocoop") if "siglip2" not in request.node.name else ()
    sentences = {name: [f"a {name}", f"the {name} of it", f"a photo of {name}"] for name in NAMES}
    (tmp_path / "corpus.json").write_text(json.dumps(sentences))
    config = get_config(
        {
            "model": str(folder),
            "data": photos.spec,
            "prompts.source": f"json:{tmp_path / 'corpus.json'}",
            "shots": 2,
            "updates": 4,
            "steps_per_call": 2,
            "log_every": 4,
            "save_every": 4,
            "batch": 8,
            "baselines": contexts,
            "compare": (),
            "cache": str(tmp_path / "cache"),
            "compile_cache": "",
            "mesh.data": 1,
            "progress": False,
        }
    )
    result = train(find_method(config), tmp_path / "run")
    assert set(contexts) <= set(result["baselines"])
    run = aape_jax.load(tmp_path / "run")
    assert run.classify([photos.test.load(0)]).names[0] in NAMES


def test_coop_starts_as_the_template(clip):
    x = np.asarray(vectors(4, VISION["width"]))
    prompts = context_prompts(clip, NAMES)
    texts = [f"a photo of a {name}." for name in NAMES]
    given = jnp.asarray(prompts.embedded), jnp.asarray(prompts.pool_at)
    found = CoOp(clip.text_tower).logits(
        {"context": jnp.asarray(prompts.start)}, clip.params["text"], given, jnp.asarray(x)
    )
    np.testing.assert_allclose(found, 100 * x @ clip.text_features(texts).T, atol=1e-3)

    def second(context):
        learner = CoOp(clip.text_tower)
        text = clip.params["text"]
        return learner.logits({"context": context}, text, given, jnp.asarray(x))[0, 1]

    gradient = jax.grad(second)(jnp.asarray(prompts.start))
    assert (np.abs(gradient).max(-1) > 0).all()  # of every word of the context
