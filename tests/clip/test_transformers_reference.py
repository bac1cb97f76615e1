"""Both towers against transformers: outputs, gradients, and both directions of conversion."""

import copy
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.clip import (
    encode_image,
    encode_text,
    load_clip,
    load_text_tower,
    pool_positions,
    save_clip,
    save_text_tower,
)
from common.clip.hugging_face import clip_from_json
from tests.compare import relative_error

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.reference

TOLERANCE = 1e-5
# One vocabulary row more than the tokenizer knows: an id that somebody added.
ADDED = 520
VARIANTS = {
    "openai": {"hidden_act": "quick_gelu"},
    "laion": {"hidden_act": "gelu"},
    # What published files say: a wrong end token, which means pooling at the largest id.
    "legacy": {"hidden_act": "quick_gelu", "eos_token_id": 2},
}


@pytest.fixture(scope="module", params=VARIANTS)
def pair(request, tokenizer, tmp_path_factory, oracle):
    """transformers' model with random weights, and ours loaded from what it saves."""
    changes = dict(VARIANTS[request.param])
    activation = changes.pop("hidden_act")
    torch.manual_seed(0)
    config = transformers.CLIPConfig(
        text_config={
            "vocab_size": tokenizer.vocab_size + 8,
            "hidden_size": 48,
            "intermediate_size": 100,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "max_position_embeddings": 16,
            "hidden_act": activation,
            "bos_token_id": tokenizer.bos,
            "eos_token_id": tokenizer.eos,
            "pad_token_id": tokenizer.pad,
            **changes,
        },
        vision_config={
            "hidden_size": 40,
            "intermediate_size": 96,
            "num_hidden_layers": 4,
            "num_attention_heads": 5,
            "image_size": 28,
            "patch_size": 7,
            "hidden_act": activation,
        },
        projection_dim=24,
    )
    theirs = transformers.CLIPModel(config).eval().requires_grad_(False)
    oracle.randomise(theirs, 0.1)
    directory = tmp_path_factory.mktemp(request.param)
    theirs.save_pretrained(directory)
    tokenizer.save(directory)
    return theirs, load_clip(str(directory))


@pytest.fixture
def ids(tokenizer):
    """Two prompts; in the second an added id stands before the end."""
    rows = tokenizer(["a cat", "two dogs"], length=12)
    rows[1, 3] = ADDED
    return rows


def their_text(model, ids, embeddings):
    """Their tower on given embeddings, which its interface does not take."""
    embedding = model.text_model.embeddings.token_embedding
    hook = embedding.register_forward_hook(lambda *_: embeddings)
    try:
        output = model.text_model(torch.tensor(ids).long(), output_hidden_states=True)
    finally:
        hook.remove()
    return output, model.text_projection(output.pooler_output)


def test_text_outputs(pair, ids):
    theirs, clip = pair
    params = {"params": clip.params["text"]}
    embeddings = clip.text_tower.apply(params, jnp.asarray(ids), method="embed")
    pool = clip.config.text.pool
    at = pool_positions(jnp.asarray(ids), pool, clip.config.text.eos)
    ours = jax.jit(clip.text_tower.apply)(params, embeddings, at)
    wanted, projected = their_text(theirs, ids, torch.tensor(np.asarray(embeddings)))
    assert len(ours.hidden_states) == len(wanted.hidden_states) == 4
    for state, theirs_state in zip(ours.hidden_states, wanted.hidden_states, strict=True):
        assert relative_error(state, theirs_state) <= TOLERANCE
    assert relative_error(ours.last_hidden_state, wanted.last_hidden_state) <= TOLERANCE
    assert relative_error(ours.pooled, wanted.pooler_output) <= TOLERANCE
    assert relative_error(ours.projected, projected) <= TOLERANCE
    encode = jax.jit(encode_text, static_argnums=0)
    features = encode(clip.text_tower, clip.params["text"], jnp.asarray(ids))
    assert relative_error(features, projected) <= TOLERANCE


def test_text_gradient_with_respect_to_embeddings(pair, ids):
    theirs, clip = pair
    shape = (*ids.shape, clip.config.text.width)
    rng = np.random.default_rng(0)
    given, weight = rng.normal(size=(2, *shape)).astype(np.float32)
    direction = rng.normal(size=(2, clip.config.text.projection)).astype(np.float32)
    at = pool_positions(jnp.asarray(ids), clip.config.text.pool, clip.config.text.eos)

    def ours(embeddings):
        output = clip.text_tower.apply({"params": clip.params["text"]}, embeddings, at)
        loss = (output.last_hidden_state * weight).sum()
        return loss + (output.projected * direction).sum()

    embeddings = torch.tensor(given, requires_grad=True)
    output, projected = their_text(theirs, ids, embeddings)
    loss = (output.last_hidden_state * torch.tensor(weight)).sum()
    (loss + (projected * torch.tensor(direction)).sum()).backward()
    assert relative_error(jax.jit(jax.grad(ours))(jnp.asarray(given)), embeddings.grad) <= TOLERANCE


def test_image_outputs_and_gradient(pair):
    theirs, clip = pair
    rng = np.random.default_rng(1)
    given = rng.normal(size=(2, 28, 28, 3)).astype(np.float32)
    direction = rng.normal(size=(2, 24)).astype(np.float32)
    pixels = torch.tensor(given, requires_grad=True)
    wanted = theirs.vision_model(pixels.permute(0, 3, 1, 2), output_hidden_states=True)
    features = theirs.visual_projection(wanted.pooler_output)
    (features * torch.tensor(direction)).sum().backward()

    params = clip.params["vision"]
    ours = jax.jit(clip.image_tower.apply)({"params": params}, jnp.asarray(given))
    assert len(ours.hidden_states) == len(wanted.hidden_states) == 5
    for state, theirs_state in zip(ours.hidden_states, wanted.hidden_states, strict=True):
        assert relative_error(state, theirs_state) <= TOLERANCE
    grid = wanted.last_hidden_state[:, 1:].reshape(2, 4, 4, 40)
    assert relative_error(ours.grid, grid) <= TOLERANCE
    assert relative_error(ours.pooled, wanted.pooler_output) <= TOLERANCE
    assert relative_error(ours.features, features) <= TOLERANCE

    def loss(x):
        return (encode_image(clip.image_tower, params, x) * direction).sum()

    assert relative_error(jax.jit(jax.grad(loss))(jnp.asarray(given)), pixels.grad) <= TOLERANCE


def test_transformers_loads_what_we_save(pair, tmp_path):
    theirs, clip = pair
    save_clip(clip, tmp_path)
    again, report = transformers.CLIPModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys"))
    wanted = theirs.state_dict()
    assert again.state_dict().keys() == wanted.keys()
    for name, tensor in again.state_dict().items():
        assert torch.equal(tensor, wanted[name]), name
    assert again.config.text_config.eos_token_id == theirs.config.text_config.eos_token_id
    processor = transformers.CLIPImageProcessor.from_pretrained(tmp_path)
    assert tuple(processor.image_mean) == clip.preprocess.mean
    tokens = transformers.CLIPTokenizer.from_pretrained(tmp_path)("a cat").input_ids
    np.testing.assert_array_equal(tokens, clip.tokenizer(["a cat"], length=len(tokens))[0])


def test_a_text_encoder_alone(pair, tmp_path):
    """Stable Diffusion's: as transformers writes it today, and in the published layout."""
    theirs, clip = pair
    theirs.text_model.save_pretrained(tmp_path / "theirs")
    config, params = load_text_tower(tmp_path / "theirs")
    expected = dict(clip.params["text"])
    del expected["projection"]
    same = jax.tree.map(np.array_equal, params, expected)
    assert all(jax.tree.leaves(same))
    assert (
        dataclasses.replace(config, projection=24) == clip_from_json(theirs.config.to_dict()).text
    )

    save_text_tower(config, params, tmp_path / "ours")
    again, report = transformers.CLIPTextModel.from_pretrained(
        tmp_path / "ours", output_loading_info=True
    )
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys"))
    wanted = theirs.text_model.state_dict()
    for name, tensor in again.state_dict().items():
        assert torch.equal(tensor, wanted[name]), name


@pytest.mark.parametrize("overrides", [None, {"hidden_size": 96, "num_hidden_layers": 2}])
def test_configurations_are_read_as_transformers_reads_them(overrides):
    """Old files repeat a part of `text_config` in `text_config_dict`."""
    raw = {
        "model_type": "clip",
        "projection_dim": 24,
        "text_config": {"hidden_size": 32, "num_attention_heads": 4, "eos_token_id": 2},
        "text_config_dict": overrides,
        "vision_config": {"hidden_size": 48, "patch_size": 14},
        "vision_config_dict": overrides,
    }
    # A copy, because transformers changes what it is given.
    theirs = transformers.CLIPConfig(**copy.deepcopy(raw))
    ours = clip_from_json(raw)
    assert ours.text.width == theirs.text_config.hidden_size
    assert ours.text.layers == theirs.text_config.num_hidden_layers
    assert ours.text.heads == theirs.text_config.num_attention_heads
    legacy = theirs.text_config.eos_token_id == 2
    assert ours.text.pool == ("argmax" if legacy else "eos")
    assert ours.vision.width == theirs.vision_config.hidden_size
    assert ours.vision.patch_size == theirs.vision_config.patch_size
    assert ours.vision.mlp_width == theirs.vision_config.intermediate_size
