"""MetaCLIP 2 against transformers: outputs, gradients, tokens, pixels, and what is saved."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from common.clip import encode_image, load_clip, save_clip
from tests.clip.metaclip2_models import (
    LENGTH,
    PROJECTION,
    SENTENCES,
    TEXT,
    VISION,
    pieces,
    write_tokenizer,
)
from tests.clip.test_siglip_reference import renamed, their_text
from tests.compare import relative_error

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.reference

TOLERANCE = 2e-6


@pytest.fixture(scope="module")
def pair(tmp_path_factory, oracle):
    """transformers' model with random weights, and ours loaded from what it saves."""
    torch.manual_seed(0)
    words = {"vocab_size": len(pieces()), "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1}
    config = transformers.MetaClip2Config(
        text_config=renamed(TEXT) | words | {"projection_dim": PROJECTION},
        vision_config=renamed(VISION) | {"projection_dim": PROJECTION},
        projection_dim=PROJECTION,
    )
    theirs = transformers.MetaClip2Model(config).eval().requires_grad_(False)
    oracle.randomise(theirs, 0.1)
    directory = tmp_path_factory.mktemp("metaclip2")
    theirs.save_pretrained(directory)
    write_tokenizer(directory)
    size = {"height": VISION["image_size"], "width": VISION["image_size"]}
    transformers.CLIPImageProcessorPil(size=size, crop_size=size).save_pretrained(directory)
    return theirs, load_clip(str(directory)), directory


def test_tokens(pair):
    _, clip, directory = pair
    theirs = transformers.AutoTokenizer.from_pretrained(directory)
    assert isinstance(theirs, transformers.XLMRobertaTokenizer)
    options = {"padding": "max_length", "truncation": True, "max_length": LENGTH}
    wanted = theirs(list(SENTENCES), **options).input_ids
    np.testing.assert_array_equal(clip.tokenizer(SENTENCES, truncate=True), wanted)


def test_text_outputs_and_gradient(pair):
    theirs, clip, _ = pair
    ids = clip.tokenizer(SENTENCES, truncate=True)
    params = {"params": clip.params["text"]}
    rng = np.random.default_rng(0)
    given = rng.normal(size=(*ids.shape, TEXT["width"])).astype(np.float32)
    direction = rng.normal(size=(len(ids), PROJECTION)).astype(np.float32)
    at = clip.text_tower.pool_at(jnp.asarray(ids))
    embeddings = torch.tensor(given, requires_grad=True)
    wanted = their_text(theirs, ids, embeddings)
    projected = theirs.text_projection(wanted.pooler_output)
    ours = jax.jit(clip.text_tower.apply)(params, jnp.asarray(given), at)
    for state, their_state in zip(ours.hidden_states, wanted.hidden_states, strict=True):
        assert relative_error(state, their_state) <= TOLERANCE
    assert relative_error(ours.projected, projected) <= TOLERANCE
    (projected * torch.tensor(direction)).sum().backward()

    def loss(embeddings):
        return (clip.text_tower.apply(params, embeddings, at).projected * direction).sum()

    assert relative_error(jax.jit(jax.grad(loss))(jnp.asarray(given)), embeddings.grad) <= TOLERANCE


def test_photos_and_logits(pair):
    theirs, clip, directory = pair
    rng = np.random.default_rng(2)
    photos = [Image.fromarray(rng.integers(0, 256, (20, 30, 3), np.uint8)) for _ in range(3)]
    processor = transformers.CLIPImageProcessorPil.from_pretrained(directory)
    pixels = processor(photos, return_tensors="pt").pixel_values
    ours = np.stack([clip.preprocess(photo) for photo in photos])
    np.testing.assert_allclose(ours, pixels.permute(0, 2, 3, 1), atol=1e-6)
    ids = clip.tokenizer(SENTENCES, truncate=True)
    given = pixels.clone().requires_grad_()
    wanted = theirs(torch.tensor(ids).long(), given)
    features = clip.image_features(photos), clip.text_features(SENTENCES, truncate=True)
    assert relative_error(features[0], wanted.image_embeds) <= TOLERANCE
    assert relative_error(features[1], wanted.text_embeds) <= TOLERANCE
    logits = clip.scale * features[0] @ features[1].T
    assert relative_error(logits, wanted.logits_per_image) <= TOLERANCE

    direction = rng.normal(size=(3, PROJECTION)).astype(np.float32)
    output = theirs.get_image_features(given).pooler_output
    (output * torch.tensor(direction)).sum().backward()

    def loss(x):
        return (encode_image(clip.image_tower, clip.params["vision"], x) * direction).sum()

    gradient = jax.jit(jax.grad(loss))(jnp.asarray(ours))
    assert relative_error(gradient, given.grad.permute(0, 2, 3, 1)) <= TOLERANCE


def test_transformers_loads_what_we_save(pair, tmp_path):
    theirs, clip, _ = pair
    save_clip(clip, tmp_path)
    again, report = transformers.AutoModel.from_pretrained(tmp_path, output_loading_info=True)
    assert isinstance(again, transformers.MetaClip2Model)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys"))
    for name, tensor in again.state_dict().items():
        assert torch.equal(tensor, theirs.state_dict()[name]), name
    assert load_clip(str(tmp_path)).fingerprint == clip.fingerprint
    read = transformers.AutoTokenizer.from_pretrained(tmp_path)
    tokens = read(list(SENTENCES), padding="max_length", truncation=True, max_length=LENGTH)
    np.testing.assert_array_equal(tokens.input_ids, clip.tokenizer(SENTENCES, truncate=True))
