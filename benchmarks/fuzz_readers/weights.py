"""Weights as people have them: one file, what training leaves, and other libraries' formats."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.archives import checkpoint_archive, script_archive
from benchmarks.fuzz_readers.reader import Reader, copied
from common.files import read_json
from common.weights.resolve import POCKET


def _clip_tensors() -> dict[str, np.ndarray]:
    """Return one block of each tower in OpenAI's layout, 64 wide as one head is."""
    block = {
        **{f"ln_{i}.{name}": (64,) for i in (1, 2) for name in ("weight", "bias")},
        **{"attn.in_proj_weight": (192, 64), "attn.in_proj_bias": (192,)},
        **{"attn.out_proj.weight": (64, 64), "attn.out_proj.bias": (64,)},
        **{"mlp.c_fc.weight": (96, 64), "mlp.c_fc.bias": (96,)},
        **{"mlp.c_proj.weight": (64, 96), "mlp.c_proj.bias": (64,)},
    }
    shapes: dict[str, tuple[int, ...]] = {
        **{f"transformer.resblocks.0.{key}": shape for key, shape in block.items()},
        **{f"visual.transformer.resblocks.0.{key}": shape for key, shape in block.items()},
        **{f"{name}.{x}": (64,) for name in _NORMS for x in ("weight", "bias")},
        **{"token_embedding.weight": (_words(), 64), "positional_embedding": (8, 64)},
        **{"text_projection": (64, 4), "logit_scale": (), "visual.class_embedding": (64,)},
        **{"visual.conv1.weight": (64, 3, 4, 4), "visual.positional_embedding": (5, 64)},
        "visual.proj": (64, 4),
    }
    return {key: np.ones(shape, np.float16) for key, shape in shapes.items()}


def _words() -> int:
    """Return how many rows the pocket tokenizer needs."""
    return read_json(POCKET / "clip" / "config.json")["text_config"]["vocab_size"]


_NORMS = ("ln_final", "visual.ln_pre", "visual.ln_post")


def _archive(name: str, make: Callable[[], bytes]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        copied("clip/tokenizer.json", "clip/tokenizer_config.json")(folder)
        (folder / "clip" / name).write_bytes(make())

    return write


def _openai() -> bytes:
    sizes = {"input_resolution": 8, "context_length": 8, "vocab_size": _words()}
    return script_archive(_clip_tensors() | {name: np.array(x) for name, x in sizes.items()})


def _epoch() -> bytes:
    weights = {f"module.{key}": x for key, x in _clip_tensors().items()}
    return checkpoint_archive({"epoch": 1, "state_dict": weights, "optimizer": {"state": {}}})


def _clip_file(activation: str | None = None) -> Callable[[Path], Any]:
    def read(folder: Path) -> Any:
        from common.clip import load_clip

        return load_clip(str(folder / "clip" / "x.pt"), activation=activation)

    return read


def _make_flax(folder: Path) -> None:
    from flax.serialization import msgpack_serialize

    tree = {"a": {"kernel": np.ones((3, 4), np.float32), "bias": np.ones(4, np.float16)}}
    (folder / "flax_model.msgpack").write_bytes(msgpack_serialize(tree))


def _flax(folder: Path) -> Any:
    from common.weights.files import read_tensors

    return {name: np.array(x) for name, x in read_tensors(folder).items()}


def _make_one_file(folder: Path) -> None:
    from common.weights.files import write_tensors

    copied("sd/tokenizer")(folder)
    shapes = {
        **{"input_blocks.0.0.weight": (64, 4, 3, 3), "out.2.weight": (4, 64, 3, 3)},
        **{"input_blocks.1.0.out_layers.3.weight": (64, 64, 3, 3)},
        **{"input_blocks.1.1.proj_in.weight": (64, 64, 1, 1)},
        **{"middle_block.1.proj_in.weight": (64, 64, 1, 1)},
        **{"middle_block.1.transformer_blocks.0.attn2.to_k.weight": (64, 64)},
        **{"output_blocks.0.1.proj_in.weight": (64, 64, 1, 1)},
    }
    tensors = {f"model.diffusion_model.{key}": np.ones(x, "f2") for key, x in shapes.items()}
    vae = {
        **{"encoder.conv_in.weight": (32, 3, 3, 3), "decoder.conv_out.weight": (3, 32, 3, 3)},
        **{"encoder.down.0.block.0.conv1.weight": (32, 32, 3, 3)},
        **{"decoder.conv_in.weight": (32, 4, 3, 3)},
    }
    tensors |= {f"first_stage_model.{key}": np.ones(x, "f2") for key, x in vae.items()}
    others = ("visual.", "text_projection")  # A whole tower's last block would not be used.
    text = {key: x for key, x in _clip_tensors().items() if not key.startswith(others)}
    tensors |= {f"cond_stage_model.model.{key}": x for key, x in text.items()}
    write_tensors(folder / "sd/model.safetensors", tensors)


def _make_xl_file(folder: Path) -> None:
    from common.weights.files import read_tensors, write_tensors

    _make_one_file(folder)
    file, second = folder / "sd/model.safetensors", "cond_stage_model.model."
    tensors = {key: np.array(x) for key, x in read_tensors(file).items()}
    text = {key.removeprefix(second): x for key, x in tensors.items() if key.startswith(second)}
    kept = {key: x for key, x in tensors.items() if not key.startswith(second)}
    inside = "conditioner.embedders.0.transformer.text_model"
    shapes = {
        f"{inside}.embeddings.token_embedding.weight": (_words(), 64),
        f"{inside}.embeddings.position_embedding.weight": (8, 64),
        f"{inside}.encoder.layers.0.mlp.fc1.weight": (96, 64),
        "conditioner.embedders.1.model.text_projection": (64, 16),
        "model.diffusion_model.label_emb.0.0.weight": (256, 64),
    }
    first = {key: np.ones(shape, "f2") for key, shape in shapes.items()}
    towers = {f"conditioner.embedders.1.model.{key}": x for key, x in text.items()}
    write_tensors(file, kept | first | towers)


def _one_file(folder: Path) -> Any:
    from common.diffusion.single_file import open_single_file

    return open_single_file(folder / "sd/model.safetensors", "epsilon").parts


def _make_checkpoint(folder: Path) -> None:
    deep = "text_encoder.transformer.resblocks.1.VPT_shallow"
    state = {"prompt_learner.ctx": np.ones((4, 8), np.float32), deep: np.ones((4, 8), np.float32)}
    content = {"state_dict": state, "epoch": 1, "optimizer": {"state": {}}, "val_result": None}
    (folder / "model.pth.tar-1").write_bytes(checkpoint_archive(content))


def _checkpoint(folder: Path) -> Any:
    from protext_jax.released import read_checkpoint

    return read_checkpoint(folder / "model.pth.tar-1")


READERS = {
    "openai_file": Reader(_archive("x.pt", _openai), _clip_file(), "clip/x.pt"),
    "open_clip_epoch": Reader(_archive("x.pt", _epoch), _clip_file("gelu"), "clip/x.pt"),
    "flax_file": Reader(_make_flax, _flax),
    "one_file": Reader(_make_one_file, _one_file, "sd/model.safetensors"),
    "xl_file": Reader(_make_xl_file, _one_file, "sd/model.safetensors"),
    "dassl_checkpoint": Reader(_make_checkpoint, _checkpoint),
}
