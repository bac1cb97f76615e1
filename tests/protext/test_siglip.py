"""ProText on SigLIP, whose text tower is not causal and reads a text at its last position."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import protext_jax
from common.clip import load_clip, save_clip
from common.clip.siglip_tokenizer import SigLIPTokenizer
from common.training import train
from common.training.mesh import make_mesh
from configs.protext import get_config
from protext_jax.classifier import class_features
from protext_jax.coop import as_learned, class_encoder
from protext_jax.learned import LearnedPrompts
from protext_jax.method import ProText
from protext_jax.prompts import tokenise
from protext_jax.tower import prompted_features
from tests.clip.siglip_models import TOKENIZERS, VISION, small_siglip, write_tokenizer

pytestmark = pytest.mark.usefixtures("quick_compiler")
CORPUS = {
    "red star": ["a red star", "the star is red", "a star"],
    "fish": ["a fish with fins", "a fish", "the fish swims"],
    "circle": ["a circle", "a blue circle", "a circle of it"],
}


@pytest.fixture(scope="module", params=TOKENIZERS)
def folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    write_tokenizer(folder, request.param)
    clip = small_siglip(SigLIPTokenizer.from_directory(folder), positions=24)
    save_clip(clip, folder)
    (folder / "corpus.json").write_text(json.dumps(CORPUS))
    rng = np.random.default_rng(0)
    np.savez(
        folder / "features.npz",
        features=rng.standard_normal((12, VISION["width"])).astype(np.float32),
        labels=np.repeat(np.arange(3), 4),
        classnames=np.array(list(CORPUS)),
    )
    return folder


@pytest.fixture(scope="module")
def clip(folder):
    return load_clip(str(folder))


@pytest.fixture
def config(folder):
    def make(**changes):
        fields = {
            "model": str(folder),
            "prompts.source": f"json:{folder / 'corpus.json'}",
            "data": f"features:{folder / 'features.npz'}",
            "protocol": "all_classes",
            "length": 2,
            "template": "a a {}",
            "test_template": "a a {}",
            "depth": 2,
            "held_out": 1,
            "epochs": 8,
            "steps_per_call": 2,
            "log_every": 4,
            "save_every": 4,
            "cache": str(folder / "cache"),
            "compile_cache": "",
            "mesh.data": 1,
            "progress": False,
            "baselines": ("clip_80",),
            **changes,
        }
        return get_config(fields)

    return make


def test_a_run_from_its_start_to_its_classifier(request, folder, config, clip, tmp_path):
    # Of the second kind, whose tokenizer alone is another, only the start of a context is tried.
    coop = {} if "siglip2" in request.node.name else {"coop_shots": 1}
    result = train(ProText(config(**coop)), tmp_path)
    assert {"clip", "clip_80"} | ({"coop"} if coop else set()) == set(result["baselines"])
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    cosines = [line["cosine"] for line in lines if "cosine" in line]
    assert cosines[-1] > cosines[0]
    run = protext_jax.load(tmp_path)
    features = run.class_features(["fish", "red star"])
    assert features.shape == (2, VISION["width"])
    photos = [np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)]
    assert run.classify(photos).names[0] in CORPUS


def test_the_plain_form_is_taken_by_itself(config):
    method = ProText(config(fast=True))
    loaded = method.load(make_mesh(1, 1))
    assert method.plan.packer is None and "ids" in loaded.frozen
    shapes = ProText(config(fast=True)).abstract(make_mesh(1, 1)).frozen
    assert jax.tree.map(jnp.shape, shapes) == jax.tree.map(jnp.shape, loaded.frozen)


def test_prompts_stand_for_the_first_words_and_the_last_position_is_read(clip):
    texts = tokenise(clip.tokenizer, "a a {}", ["cat", "dogs"], 2)
    np.testing.assert_array_equal(texts.ids, clip.tokenizer(["a a cat", "a a dogs"]))
    words = [len(clip.tokenizer.encode(f"a a {name}")) for name in ("cat", "dogs")]
    np.testing.assert_array_equal(texts.end, words)  # no start token in front of them
    tower, params = clip.text_tower, clip.params["text"]
    prompts = np.random.default_rng(0).normal(size=(1, 2, 32)).astype(np.float32)
    embeddings = np.array(params["token_embedding"])[texts.ids]
    embeddings[:, :2] = prompts[0]
    wanted = tower.apply({"params": params}, jnp.asarray(embeddings), jnp.array([23, 23])).projected
    wanted /= jnp.linalg.norm(wanted, axis=-1, keepdims=True)
    ids, end = jnp.asarray(texts.ids), jnp.asarray(texts.end)
    found = prompted_features(tower, params, jnp.asarray(prompts), ids, end)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    learned = LearnedPrompts({"prompts": prompts}, {})
    classes = class_features(clip, learned, "a a {}", ["cat", "dogs"])
    np.testing.assert_allclose(classes, wanted, atol=1e-6)


def test_words_of_the_template_as_prompts_change_nothing(clip):
    words = clip.params["text"]["token_embedding"][clip.tokenizer.encode("a photo")[:2]]
    learned = LearnedPrompts({"prompts": np.asarray(words)[None]}, {})
    found = class_features(clip, learned, "a photo {}", ["cat", "dog"])
    wanted = clip.text_features(["a photo cat", "a photo dog"])
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_coop_encodes_its_classes_as_their_classifier_does(clip):
    context = np.random.default_rng(0).normal(size=(1, 4, 32)).astype(np.float32)
    encode, frozen = class_encoder(clip, ["cat", "dogs"])
    context = jnp.asarray(context)
    wanted = class_features(clip, as_learned(context), "a photo of a {}.", ["cat", "dogs"])
    np.testing.assert_allclose(jax.jit(encode)(frozen, context), wanted, atol=1e-6)
