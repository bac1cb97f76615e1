"""Both kinds of image tower in open_clip's layout against a PyTorch oracle."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.clip import load_clip, save_clip
from common.weights.files import read_tensors
from tests.compare import relative_error

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.reference

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def pair(clip, oracle, open_clip_json, tokenizer, tmp_path_factory):
    """The oracle with random weights, and ours loaded from the file it would publish."""
    torch.manual_seed(0)
    theirs = oracle.OpenClip(clip.config, 0.1)
    directory = tmp_path_factory.mktemp("open_clip")
    (directory / "open_clip_config.json").write_text(json.dumps(open_clip_json(clip.config)))
    torch.save(theirs.state_dict(), directory / "open_clip_pytorch_model.bin")
    tokenizer.save(directory)
    return theirs, load_clip(str(directory))


def check_gradient(ours, theirs, given, directions):
    """d(sum of outputs along the directions)/d(given), on both sides."""

    def loss(x):
        return sum((y * d).sum() for y, d in zip(ours(x), directions, strict=True))

    x = torch.tensor(given, requires_grad=True)
    outputs = zip(theirs(x), directions, strict=True)
    sum((y * torch.tensor(d)).sum() for y, d in outputs).backward()
    assert relative_error(jax.jit(jax.grad(loss))(jnp.asarray(given)), x.grad) <= TOLERANCE


def test_image_tower(pair):
    theirs, clip = pair
    size = clip.config.vision.image_size
    rng = np.random.default_rng(0)
    given = rng.normal(size=(2, size, size, 3)).astype(np.float32)
    wanted = theirs.visual(torch.tensor(given).permute(0, 3, 1, 2))

    def run(pixels):
        return clip.image_tower.apply({"params": clip.params["vision"]}, pixels)

    ours = jax.jit(run)(jnp.asarray(given))
    assert len(ours.hidden_states) == len(wanted["hidden_states"])
    for state, theirs_state in zip(ours.hidden_states, wanted["hidden_states"], strict=True):
        assert relative_error(state, theirs_state) <= TOLERANCE
    for name in ("features", "pooled", "grid"):
        assert relative_error(getattr(ours, name), wanted[name]) <= TOLERANCE, name

    directions = [rng.normal(size=wanted[n].shape).astype(np.float32) for n in ("features", "grid")]

    def their_outputs(pixels):
        output = theirs.visual(pixels.permute(0, 3, 1, 2))
        return output["features"], output["grid"]

    check_gradient(lambda x: (run(x).features, run(x).grid), their_outputs, given, directions)


def test_text_tower(pair):
    theirs, clip = pair
    rng = np.random.default_rng(1)
    given = rng.normal(size=(2, 12, clip.config.text.width)).astype(np.float32)
    at = np.array([5, 11])
    wanted = theirs.text(torch.tensor(given), torch.tensor(at))

    def run(embeddings):
        return clip.text_tower.apply({"params": clip.params["text"]}, embeddings, jnp.asarray(at))

    ours = jax.jit(run)(jnp.asarray(given))
    for state, theirs_state in zip(ours.hidden_states, wanted["hidden_states"], strict=True):
        assert relative_error(state, theirs_state) <= TOLERANCE
    names = ("last_hidden_state", "pooled", "projected")
    for name in names:
        assert relative_error(getattr(ours, name), wanted[name]) <= TOLERANCE, name
    directions = [rng.normal(size=wanted[name].shape).astype(np.float32) for name in names]
    check_gradient(
        lambda x: [getattr(run(x), name) for name in names],
        lambda x: [theirs.text(x, torch.tensor(at))[name] for name in names],
        given,
        directions,
    )


def test_saving_keeps_every_tensor(pair, tmp_path):
    """A ResNet's in the layout they came in, a ViT's in Hugging Face's."""
    theirs, clip = pair
    save_clip(clip, tmp_path)
    assert load_clip(str(tmp_path)).fingerprint == clip.fingerprint
    if hasattr(theirs.visual, "attnpool"):
        written = read_tensors(tmp_path, "open_clip_model")
        wanted = theirs.state_dict()
        buffers = {name for name in wanted if name.endswith("num_batches_tracked")}
        assert written.keys() == wanted.keys() - buffers
        for name, tensor in written.items():
            np.testing.assert_array_equal(tensor, wanted[name].numpy())
    else:
        assert "vision_model.pre_layrnorm.weight" in read_tensors(tmp_path, "model")
