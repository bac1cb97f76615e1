"""One model of each published family of open_clip's against a PyTorch oracle."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.clip import encode_image, encode_text, load_clip, save_clip
from common.clip.families import find_family
from tests.clip.conftest import MERGES, vocabulary_writer
from tests.clip.published import PUBLISHED, word_pieces, write_word_pieces
from tests.compare import relative_error

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.reference

TOLERANCE = 1e-5
TEXTS = ["a photo of a cat", "dogs!", "a dog-cat & a cat"]


@pytest.fixture(scope="module", params=PUBLISHED)
def pair(request, oracle, tokenizer, tmp_path_factory):
    """The oracle with random weights, and ours loaded from the files it would publish."""
    folder = tmp_path_factory.mktemp("published")
    content = json.loads(json.dumps(PUBLISHED[request.param]))
    words = content["model_cfg"]["text_cfg"]
    if "hf_tokenizer_name" in words:
        write_word_pieces(folder)
        words["vocab_size"] = len(word_pieces()) + 5
    else:
        vocabulary_writer(folder, MERGES)
        words["vocab_size"] = tokenizer.vocab_size
    (folder / "open_clip_config.json").write_text(json.dumps(content))
    torch.manual_seed(0)
    theirs = oracle.OpenClip(find_family(folder).read_config(content), 0.1)
    torch.save(theirs.state_dict(), folder / "open_clip_pytorch_model.bin")
    return theirs, load_clip(str(folder))


def test_image_features_and_their_gradient(pair):
    theirs, clip = pair
    size = clip.config.vision.image_size
    rng = np.random.default_rng(0)
    given = rng.normal(size=(2, size, size, 3)).astype(np.float32)
    x = torch.tensor(given, requires_grad=True)
    wanted = theirs.visual(x.permute(0, 3, 1, 2))["features"]
    direction = rng.normal(size=wanted.shape).astype(np.float32)
    (wanted * torch.tensor(direction)).sum().backward()

    def run(pixels):
        return encode_image(clip.image_tower, clip.params["vision"], pixels)

    assert relative_error(jax.jit(run)(given), wanted) <= TOLERANCE
    gradient = jax.jit(jax.grad(lambda pixels: (run(pixels) * direction).sum()))(given)
    assert relative_error(gradient, x.grad) <= TOLERANCE


def test_text_features_and_their_gradient(pair):
    theirs, clip = pair
    ids = clip.tokenizer(TEXTS)
    table = theirs.token_embedding.weight.requires_grad_()
    wanted = theirs.encode_text(torch.tensor(ids, dtype=torch.long))
    direction = np.random.default_rng(1).normal(size=wanted.shape).astype(np.float32)
    (wanted * torch.tensor(direction)).sum().backward()

    def run(params):
        return encode_text(clip.text_tower, params, jnp.asarray(ids))

    params = clip.params["text"]
    assert relative_error(jax.jit(run)(params), wanted) <= TOLERANCE
    gradient = jax.jit(jax.grad(lambda params: (run(params) * direction).sum()))(params)
    assert relative_error(gradient["token_embedding"], table.grad) <= TOLERANCE


def test_what_is_saved_is_the_same_model(pair, tmp_path):
    _, clip = pair
    save_clip(clip, tmp_path)
    again = load_clip(str(tmp_path))
    assert again.fingerprint == clip.fingerprint
    assert again.preprocess == clip.preprocess
    assert again.tokenizer(TEXTS).tolist() == clip.tokenizer(TEXTS).tolist()
