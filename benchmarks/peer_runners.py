"""Loads one CLIP by another JAX library and measures it; runs in that library's own environment.

    ENVIRONMENT/bin/python benchmarks/peer_runners.py LIBRARY FOLDER

`FOLDER` holds a CLIP in Hugging Face's layout and `inputs.npz` (`ids`, `pixels`). Features go to
`FOLDER/LIBRARY.npz`, figures are the last line of the output. Nothing of this repository is
imported here but in the runner of its own.
"""

import json
import re
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

Encoders = tuple[Callable[[np.ndarray], Any], Callable[[np.ndarray], Any]]
"""Of texts, given as ids, and of images, given as pixels."""

TIMES = 3


def ours() -> Callable[[Path], Encoders]:
    """Return what loads by this repository."""
    import jax

    from common.clip import encode_image, encode_text, load_clip

    load_clip("pocket")  # What is imported once for all models.

    def load(folder: Path) -> Encoders:
        clip = load_clip(str(folder))
        params = jax.block_until_ready(jax.device_put(clip.params))
        text = jax.jit(lambda params, ids: encode_text(clip.text_tower, params, ids))
        image = jax.jit(lambda params, pixels: encode_image(clip.image_tower, params, pixels))
        return lambda x: text(params["text"], x), lambda x: image(params["vision"], x)

    return load


def transformers() -> Callable[[Path], Encoders]:
    """Return what loads by the Flax classes that transformers had up to its version 4."""
    import jax
    from transformers import FlaxCLIPModel

    def load(folder: Path) -> Encoders:
        model = FlaxCLIPModel.from_pretrained(folder, from_pt=True)
        text = jax.jit(lambda params, ids: model.get_text_features(ids, params=params))
        image = jax.jit(lambda params, pixels: model.get_image_features(pixels, params=params))
        jax.block_until_ready(model.params)
        return (
            lambda x: text(model.params, x),
            lambda x: image(model.params, x.transpose(0, 3, 1, 2)),
        )

    return load


def keras_hub() -> Callable[[Path], Encoders]:
    """Return what builds keras-hub's CLIP and assigns the weights, which it does not read."""
    import jax
    import keras_hub

    def load(folder: Path) -> Encoders:
        config, tensors = read(folder)
        text, vision = config["text_config"], config["vision_config"]
        side = vision["image_size"]
        model = keras_hub.models.CLIPBackbone(
            keras_hub.models.CLIPVisionEncoder(
                vision["patch_size"],
                *_sizes(vision),
                "quick_gelu",
                image_shape=(side, side, 3),
            ),
            keras_hub.models.CLIPTextEncoder(
                text["vocab_size"], text["hidden_size"], *_sizes(text), "quick_gelu"
            ),
            config["projection_dim"],
        )
        _assign(model, tensors)
        weights = [x.value for x in model.trainable_variables]
        others = [x.value for x in model.non_trainable_variables]

        def encoder(encode: Callable[[Any], Any]) -> Callable[[np.ndarray], Any]:
            from keras import StatelessScope

            def run(weights: list, others: list, x: Any) -> Any:
                both = [*zip(model.trainable_variables, weights, strict=True)]
                both += zip(model.non_trainable_variables, others, strict=True)
                with StatelessScope(state_mapping=both):
                    return encode(x)

            compiled = jax.jit(run)
            return lambda x: compiled(weights, others, x)

        jax.block_until_ready(weights)
        return encoder(model.get_text_embeddings), encoder(model.get_vision_embeddings)

    return load


def _sizes(config: Mapping[str, int]) -> tuple[int, ...]:
    names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    return tuple(config[name] for name in names)


def _assign(model: Any, tensors: Mapping[str, np.ndarray]) -> None:
    def dense(layer: Any, key: str) -> None:
        layer.kernel.assign(tensors[f"{key}.weight"].T.reshape(layer.kernel.shape))
        if layer.bias is not None:
            layer.bias.assign(tensors[f"{key}.bias"].reshape(layer.bias.shape))

    def norm(layer: Any, key: str) -> None:
        layer.gamma.assign(tensors[f"{key}.weight"])
        layer.beta.assign(tensors[f"{key}.bias"])

    def blocks(layers: list, key: str) -> None:
        for number, block in enumerate(layers):
            start = f"{key}.encoder.layers.{number}"
            attention = block.attention
            dense(attention._query_dense, f"{start}.self_attn.q_proj")
            dense(attention._key_dense, f"{start}.self_attn.k_proj")
            dense(attention._value_dense, f"{start}.self_attn.v_proj")
            dense(attention._output_dense, f"{start}.self_attn.out_proj")
            norm(block.layer_norm_1, f"{start}.layer_norm1")
            norm(block.layer_norm_2, f"{start}.layer_norm2")
            dense(block.dense_1, f"{start}.mlp.fc1")
            dense(block.dense_2, f"{start}.mlp.fc2")

    text, vision = model.text_encoder, model.vision_encoder
    rows = "text_model.embeddings"
    text.embedding.token_embedding.embeddings.assign(tensors[f"{rows}.token_embedding.weight"])
    positions = tensors[f"{rows}.position_embedding.weight"]
    text.embedding.position_embedding.position_embeddings.assign(positions)
    blocks(text.encoder_layers, "text_model")
    norm(text.layer_norm, "text_model.final_layer_norm")
    cells, rows = vision.embedding, "vision_model.embeddings"
    cells.class_embedding.assign(tensors[f"{rows}.class_embedding"])
    cells.patch_embedding.kernel.assign(
        tensors[f"{rows}.patch_embedding.weight"].transpose(2, 3, 1, 0)
    )
    positions = tensors[f"{rows}.position_embedding.weight"]
    cells.position_embedding.embeddings.assign(positions)
    cells.position_ids.assign(np.arange(len(positions))[None])
    norm(vision.pre_layer_norm, "vision_model.pre_layrnorm")
    blocks(vision.encoder_layers, "vision_model")
    norm(vision.layer_norm, "vision_model.post_layernorm")
    dense(model.vision_projection, "visual_projection")
    dense(model.text_projection, "text_projection")


def read(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the configuration and the tensors of a folder in Hugging Face's layout."""
    from safetensors.numpy import load_file

    return json.loads((folder / "config.json").read_text()), load_file(folder / "model.safetensors")


RUNNERS = {
    "this package": (ours, ("jax", "flax")),
    "transformers": (transformers, ("transformers", "jax", "flax")),
    "keras-hub": (keras_hub, ("keras-hub", "keras", "jax")),
}
"""By library: what loads with it, and the packages whose versions are told."""


def main(library: str, folder: Path) -> None:
    """Load, encode, write features and print figures."""
    make, packages = RUNNERS[library]
    load, inputs = make(), np.load(folder / "inputs.npz")
    before, started = _memory("VmRSS"), time.process_time()
    encoders = load(folder)
    figures = {"load_seconds": time.process_time() - started}
    figures["load_bytes"] = max(0, _memory("VmHWM") - before)
    features = {}
    for name, key, encode in zip(("text", "image"), ("ids", "pixels"), encoders, strict=True):
        features[name] = np.asarray(encode(inputs[key]))
        started = time.process_time()
        for _ in range(TIMES):
            np.asarray(encode(inputs[key]))
        figures[f"{name}_seconds"] = (time.process_time() - started) / TIMES
    np.savez(folder / f"{library.replace(' ', '-')}.npz", **features)
    print(json.dumps(figures | {"versions": {x: version(x) for x in packages}}))


def _memory(name: str) -> int:
    return 1024 * int(re.search(rf"{name}:\s*(\d+) kB", Path("/proc/self/status").read_text())[1])


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
