"""SigLIP against transformers: outputs, gradients, tokens, pixels, and both conversions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from common.clip import encode_image, encode_text, load_clip, save_clip
from common.clip.siglip_tokenizer import SigLIPTokenizer
from common.torch_check import torch_errors
from protext_jax.tower import prompted_features
from tests.clip.siglip_models import (
    SENTENCES,
    TEXT,
    VISION,
    gemma,
    small_siglip,
    write_tokenizer,
)
from tests.compare import relative_error

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.reference

TOLERANCE = 2e-6
SIZES = {
    "width": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "mlp_width": "intermediate_size",
    "positions": "max_position_embeddings",
    "image_size": "image_size",
    "patch_size": "patch_size",
}
KINDS = {"siglip": 3, "siglip2": 2}


def renamed(sizes):
    return {SIZES[name]: size for name, size in sizes.items()}


@pytest.fixture(scope="module", params=KINDS)
def pair(request, tmp_path_factory, oracle):
    """transformers' model with random weights, and ours loaded from what it saves."""
    torch.manual_seed(0)
    text = {**renamed(TEXT), "vocab_size": 400, "projection_size": VISION["width"]}
    config = transformers.SiglipConfig(text_config=text, vision_config=renamed(VISION))
    theirs = transformers.SiglipModel(config).eval().requires_grad_(False)
    oracle.randomise(theirs, 0.1)
    directory = tmp_path_factory.mktemp(request.param)
    theirs.save_pretrained(directory)
    write_tokenizer(directory, request.param)
    side = VISION["image_size"]
    processor = transformers.SiglipImageProcessorPil(
        size={"height": side, "width": side}, resample=KINDS[request.param]
    )
    processor.save_pretrained(directory)
    return theirs, load_clip(str(directory))


@pytest.fixture
def ids(pair):
    return pair[1].tokenizer(SENTENCES, truncate=True)


def their_text(model, ids, embeddings):
    """Their tower on given embeddings, which its interface does not take."""
    embedding = model.text_model.embeddings.token_embedding
    hook = embedding.register_forward_hook(lambda *_: embeddings)
    try:
        return model.text_model(torch.tensor(ids).long(), output_hidden_states=True)
    finally:
        hook.remove()


def test_text_outputs_and_gradient(pair, ids):
    theirs, clip = pair
    params = {"params": clip.params["text"]}
    rng = np.random.default_rng(0)
    given, weight = rng.normal(size=(2, *ids.shape, TEXT["width"])).astype(np.float32)
    direction = rng.normal(size=(len(ids), VISION["width"])).astype(np.float32)
    at = clip.text_tower.pool_at(jnp.asarray(ids))
    ours = jax.jit(clip.text_tower.apply)(params, jnp.asarray(given), at)
    embeddings = torch.tensor(given, requires_grad=True)
    wanted = their_text(theirs, ids, embeddings)
    states = wanted.hidden_states
    assert len(ours.hidden_states) == len(states) == 4
    for state, their_state in zip(ours.hidden_states, states, strict=True):
        assert relative_error(state, their_state) <= TOLERANCE
    assert relative_error(ours.last_hidden_state, wanted.last_hidden_state) <= TOLERANCE
    assert relative_error(ours.projected, wanted.pooler_output) <= TOLERANCE

    def loss(embeddings):
        output = clip.text_tower.apply(params, embeddings, at)
        return (output.last_hidden_state * weight).sum() + (output.projected * direction).sum()

    total = (wanted.last_hidden_state * torch.tensor(weight)).sum()
    (total + (wanted.pooler_output * torch.tensor(direction)).sum()).backward()
    assert relative_error(jax.jit(jax.grad(loss))(jnp.asarray(given)), embeddings.grad) <= TOLERANCE


def test_deep_prompts_in_their_blocks(pair, ids):
    """ProText's forward pass, written into the blocks of transformers."""
    theirs, clip = pair
    given = np.random.default_rng(4).normal(size=(2, 3, TEXT["width"])).astype(np.float32)
    direction = np.random.default_rng(5).normal(size=(len(ids), VISION["width"]))
    direction = direction.astype(np.float32)
    prompts = torch.tensor(given, requires_grad=True)
    tower = theirs.text_model
    x = tower.embeddings.token_embedding(torch.tensor(ids).long())
    x = torch.cat([prompts[0].expand(len(ids), -1, -1), x[:, 3:]], dim=1)
    x = x + tower.embeddings.position_embedding.weight
    for number, block in enumerate(tower.encoder.layers):
        if number == 1:
            x = torch.cat([prompts[1].expand(len(ids), -1, -1), x[:, 3:]], dim=1)
        x = block(x, None)
    wanted = tower.head(tower.final_layer_norm(x)[:, -1])
    wanted = wanted / wanted.norm(dim=-1, keepdim=True)
    (wanted * torch.tensor(direction)).sum().backward()

    def features(prompts):
        end = jnp.zeros(len(ids), int)  # which is where a causal tower would pool
        params = clip.params["text"]
        return prompted_features(clip.text_tower, params, prompts, jnp.asarray(ids), end)

    assert relative_error(jax.jit(features)(jnp.asarray(given)), wanted) <= TOLERANCE
    gradient = jax.jit(jax.grad(lambda prompts: (features(prompts) * direction).sum()))
    assert relative_error(gradient(jnp.asarray(given)), prompts.grad) <= 2 * TOLERANCE


def test_image_outputs_and_gradient(pair):
    theirs, clip = pair
    rng = np.random.default_rng(1)
    given = rng.normal(size=(2, 28, 28, 3)).astype(np.float32)
    direction = rng.normal(size=(2, VISION["width"])).astype(np.float32)
    pixels = torch.tensor(given, requires_grad=True)
    wanted = theirs.vision_model(pixels.permute(0, 3, 1, 2), output_hidden_states=True)
    (wanted.pooler_output * torch.tensor(direction)).sum().backward()
    params = clip.params["vision"]
    ours = jax.jit(clip.image_tower.apply)({"params": params}, jnp.asarray(given))
    assert len(ours.hidden_states) == len(wanted.hidden_states) == 3
    for state, their_state in zip(ours.hidden_states, wanted.hidden_states, strict=True):
        assert relative_error(state, their_state) <= TOLERANCE
    grid = wanted.last_hidden_state.reshape(2, 4, 4, 40)
    assert relative_error(ours.grid, grid) <= TOLERANCE
    assert relative_error(ours.features, wanted.pooler_output) <= TOLERANCE

    def loss(x):
        return (encode_image(clip.image_tower, params, x) * direction).sum()

    assert relative_error(jax.jit(jax.grad(loss))(jnp.asarray(given)), pixels.grad) <= TOLERANCE


def test_logits_and_probabilities(pair, ids):
    theirs, clip = pair
    rng = np.random.default_rng(2)
    photos = [rng.integers(0, 256, (20, 30, 3), np.uint8) for _ in range(3)]
    pixels = np.stack([clip.preprocess(Image.fromarray(photo)) for photo in photos])
    wanted = theirs(torch.tensor(ids).long(), torch.tensor(pixels).permute(0, 3, 1, 2))
    x = encode_image(clip.image_tower, clip.params["vision"], jnp.asarray(pixels))
    assert relative_error(x, wanted.vision_model_output.pooler_output) <= TOLERANCE
    y = encode_text(clip.text_tower, clip.params["text"], jnp.asarray(ids))
    assert relative_error(y, wanted.text_model_output.pooler_output) <= TOLERANCE
    features = clip.image_features(photos), clip.text_features(SENTENCES, truncate=True)
    logits = clip.scale * features[0] @ features[1].T + clip.bias
    assert relative_error(logits, wanted.logits_per_image) <= TOLERANCE
    names = ("cat", "two dogs")
    told = clip.classify(photos, names, templates="{}", scores="sigmoid")
    seen = {"pixel_values": torch.tensor(pixels).permute(0, 3, 1, 2)}
    wanted = theirs(torch.tensor(clip.tokenizer(names)).long(), **seen)
    expected = torch.sigmoid(wanted.logits_per_image)
    assert relative_error(told.probabilities, expected) <= TOLERANCE
    np.testing.assert_array_equal(told.labels, expected.argmax(dim=1))


def test_transformers_loads_what_we_save(pair, tmp_path):
    theirs, clip = pair
    save_clip(clip, tmp_path)
    again, report = transformers.AutoModel.from_pretrained(tmp_path, output_loading_info=True)
    assert isinstance(again, transformers.SiglipModel)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys"))
    wanted = theirs.state_dict()
    assert again.state_dict().keys() == wanted.keys()
    for name, tensor in again.state_dict().items():
        assert torch.equal(tensor, wanted[name]), name
    assert load_clip(str(tmp_path)).fingerprint == clip.fingerprint
    read = transformers.PreTrainedTokenizerFast.from_pretrained(tmp_path)
    tokens = read(list(SENTENCES), padding="max_length", truncation=True, max_length=16)
    np.testing.assert_array_equal(tokens.input_ids, clip.tokenizer(SENTENCES, truncate=True))


# The names of big_vision, as transformers' own conversion has them.
TOWERS = {"text_model": "txt/Encoder_0", "vision_model": "img/Transformer"}
PLACES = {
    "layer_norm1": "LayerNorm_0",
    "layer_norm2": "LayerNorm_1",
    "mlp.fc1": "MlpBlock_0/Dense_0",
    "mlp.fc2": "MlpBlock_0/Dense_1",
    "self_attn.q_proj": "MultiHeadDotProductAttention_0/query",
    "self_attn.k_proj": "MultiHeadDotProductAttention_0/key",
    "self_attn.v_proj": "MultiHeadDotProductAttention_0/value",
    "self_attn.out_proj": "MultiHeadDotProductAttention_0/out",
}
SINGLE = {
    "txt/Embed_0/embedding": ("text_model.embeddings.token_embedding", "raw"),
    "txt/pos_embedding": ("text_model.embeddings.position_embedding", "row"),
    "txt/Encoder_0/encoder_norm": ("text_model.final_layer_norm", "norm"),
    "txt/head": ("text_model.head", "linear"),
    "img/embedding": ("vision_model.embeddings.patch_embedding", "conv"),
    "img/pos_embedding": ("vision_model.embeddings.position_embedding", "row"),
    "img/Transformer/encoder_norm": ("vision_model.post_layernorm", "norm"),
    "img/MAPHead_0/LayerNorm_0": ("vision_model.head.layernorm", "norm"),
    "img/MAPHead_0/MlpBlock_0/Dense_0": ("vision_model.head.mlp.fc1", "linear"),
    "img/MAPHead_0/MlpBlock_0/Dense_1": ("vision_model.head.mlp.fc2", "linear"),
}


def in_big_vision(state, heads):
    """Their weights in big_vision's names and shapes."""
    arrays = {"t": state["logit_scale"], "b": state["logit_bias"]}

    def put(name, weight, bias, kind, count=1):
        weight, bias = np.asarray(weight), bias if bias is None else np.asarray(bias)
        if kind in ("raw", "row"):
            arrays[name] = weight if kind == "raw" else weight[None]
        elif kind == "norm":
            arrays[f"{name}/scale"], arrays[f"{name}/bias"] = weight, bias
        elif kind == "conv":
            arrays[f"{name}/kernel"] = weight.transpose(2, 3, 1, 0)
            arrays[f"{name}/bias"] = bias
        elif name.endswith("/out"):
            arrays[f"{name}/kernel"] = weight.T.reshape(count, -1, weight.shape[0])
            arrays[f"{name}/bias"] = bias
        elif "MultiHeadDot" in name:
            arrays[f"{name}/kernel"] = weight.T.reshape(weight.shape[1], count, -1)
            arrays[f"{name}/bias"] = bias.reshape(count, -1)
        else:
            arrays[f"{name}/kernel"], arrays[f"{name}/bias"] = weight.T, bias

    for name, (key, kind) in SINGLE.items():
        put(name, state[f"{key}.weight"], state.get(f"{key}.bias"), kind)
    for tower, start in TOWERS.items():
        for layer in range({"text_model": TEXT, "vision_model": VISION}[tower]["layers"]):
            for place, name in PLACES.items():
                key = f"{tower}.encoder.layers.{layer}.{place}"
                put(
                    f"{start}/encoderblock_{layer}/{name}",
                    state[f"{key}.weight"],
                    state[f"{key}.bias"],
                    "norm" if "norm" in place else "linear",
                    heads[tower],
                )
    head, pool = "vision_model.head.attention", "img/MAPHead_0/MultiHeadDotProductAttention_0"
    arrays["img/MAPHead_0/probe"] = state["vision_model.head.probe"]
    weights = np.split(np.asarray(state[f"{head}.in_proj_weight"]), 3)
    biases = np.split(np.asarray(state[f"{head}.in_proj_bias"]), 3)
    parts = [*zip(("query", "key", "value"), weights, biases, strict=True)]
    parts.append(("out", state[f"{head}.out_proj.weight"], state[f"{head}.out_proj.bias"]))
    for part, weight, bias in parts:
        put(f"{pool}/{part}", weight, bias, "linear", heads["vision_model"])
    return {name: np.asarray(array) for name, array in arrays.items()}


def test_big_visions_file_of_the_same_weights(pair, tmp_path):
    theirs, clip = pair
    save_clip(clip, tmp_path)
    heads = {"text_model": TEXT["heads"], "vision_model": VISION["heads"]}
    arrays = in_big_vision(theirs.state_dict(), heads)
    np.savez(tmp_path / "siglip.npz", **{f"params/{name}": x for name, x in arrays.items()})
    loaded = load_clip(str(tmp_path / "siglip.npz"))
    assert loaded.config == clip.config
    jax.tree.map(np.testing.assert_array_equal, loaded.params, clip.params)


def test_the_check_of_a_conversion(tmp_path):
    write_tokenizer(tmp_path, "siglip2")
    clip = small_siglip(SigLIPTokenizer.from_directory(tmp_path), positions=32)
    save_clip(clip, tmp_path)
    errors = torch_errors(load_clip(str(tmp_path)), tmp_path)
    assert errors.keys() == {"text features", "image features"}
    assert max(errors.values()) <= TOLERANCE


def test_pixels(pair, tmp_path):
    _, clip = pair
    save_clip(clip, tmp_path)
    processor = transformers.SiglipImageProcessorPil.from_pretrained(tmp_path)
    photo = np.random.default_rng(3).integers(0, 256, (50, 90, 3), np.uint8)
    wanted = processor(Image.fromarray(photo), return_tensors="np").pixel_values[0]
    ours = clip.preprocess(Image.fromarray(photo)).transpose(2, 0, 1)
    np.testing.assert_allclose(ours, wanted, atol=1e-6)


def test_tokens_of_siglip_2(tmp_path):
    """transformers' own tokenizer of SigLIP 2, from the same vocabulary."""
    write_tokenizer(tmp_path, "siglip2", model_max_length=64)
    model = gemma()["model"]
    merges = [tuple(pair) for pair in model["merges"]]
    theirs = transformers.Siglip2Tokenizer(vocab=model["vocab"], merges=merges)
    ours = SigLIPTokenizer.from_directory(tmp_path)
    texts = [" ".join(text.split()) for text in SENTENCES]
    wanted = theirs(texts, add_special_tokens=False).input_ids
    assert ours.encode_all(texts) == wanted
