"""Configs, tokenizers and weights of models."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fuzz_readers.reader import Reader, copied, write


def _clip_config(folder: Path) -> Any:
    from common.clip.hugging_face import clip_from_json
    from common.clip.processor import preprocess_from_json
    from common.files import read_record

    config = clip_from_json(read_record(folder / "clip/config.json"))
    return preprocess_from_json(
        read_record(folder / "clip/preprocessor_config.json"), config.vision.image_size
    )


def _make_open_clip(folder: Path) -> None:
    text = {"context_length": 8, "vocab_size": 512, "width": 64, "heads": 2, "layers": 2}
    vision = {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8, "head_width": 32}
    model = {"embed_dim": 64, "quick_gelu": True, "vision_cfg": vision, "text_cfg": text}
    mean = [0.5, 0.5, 0.5]
    preprocess = {"mean": mean, "std": mean, "interpolation": "bicubic", "resize_mode": "shortest"}
    content = {"model_cfg": model, "preprocess_cfg": preprocess}
    write(folder / "open_clip_config.json", content)


def _open_clip(folder: Path) -> Any:
    from common.clip.open_clip import clip_from_json, preprocess_from_json
    from common.files import read_record

    record = read_record(folder / "open_clip_config.json")
    return preprocess_from_json(record, clip_from_json(record).vision.image_size)


def _make_clipa(folder: Path) -> None:
    kwargs = {"strip_sep_token": True}
    words = {"hf_tokenizer_name": "bert-base-uncased", "tokenizer_kwargs": kwargs}
    sizes = {"context_length": 8, "vocab_size": 512, "width": 64, "heads": 2, "layers": 2}
    text = {**sizes, **words, "pool_type": "last", "no_causal_mask": True}
    head = {"no_ln_pre": True, "pool_type": "avg", "final_ln_after_pool": True}
    vision = {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8, **head}
    preprocess = {"mean": [0.5] * 3, "interpolation": "bilinear", "resize_mode": "squash"}
    content = {
        "model_cfg": {"embed_dim": 64, "vision_cfg": vision, "text_cfg": text},
        "preprocess_cfg": preprocess,
    }
    write(folder / "open_clip_config.json", content)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "photo", "##s"]
    model = {"type": "WordPiece", "vocab": {word: i for i, word in enumerate(pieces)}}
    special = {"special": True, "normalized": False}
    added = [{"id": i, "content": word, **special} for i, word in enumerate(pieces[:5])]
    write(folder / "tokenizer.json", {"added_tokens": added, "model": model})


def _make_metaclip2(folder: Path) -> None:
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 64}
    words = {"vocab_size": 7, "num_attention_heads": 2, "eos_token_id": 2, "pad_token_id": 1}
    text = {"model_type": "metaclip_2_text_model", **sizes, **words}
    pixels = {"image_size": 32, "patch_size": 8, "num_attention_heads": 2}
    vision = {"model_type": "metaclip_2_vision_model", **sizes, **pixels}
    towers = {"text_config": text, "vision_config": vision, "projection_dim": 64}
    write(folder / "config.json", {"model_type": "metaclip_2", **towers})
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁a", "▁photo", "<mask>"]
    model = {"type": "Unigram", "unk_id": 3, "vocab": [[piece, -1.0] for piece in pieces]}
    special = {"special": True, "normalized": False}
    added = [{"id": i, "content": pieces[i], **special} for i in (0, 1, 2, 3, 6)]
    write(folder / "tokenizer.json", {"added_tokens": added, "model": model})


def _described(folder: Path) -> Any:
    from common.clip.known import describe_clip

    return describe_clip(str(folder)).tokenizer(["a photo"])


def _diffusion(folder: Path) -> Any:
    from common.diffusion.known import Architecture

    return Architecture.from_directory(folder / "sd")


def _make_xl(folder: Path) -> None:
    from common.clip.hugging_face import text_to_json
    from common.diffusion.known import KNOWN

    sizes = KNOWN["stabilityai/stable-diffusion-xl-base-1.0"]
    names = {"text_encoder": ["transformers", "CLIPTextModel"], "requires_aesthetics_score": False}
    index = {"_class_name": "StableDiffusionXLPipeline", "force_zeros_for_empty_prompt": True}
    write(folder / "model_index.json", index | names)
    write(folder / "unet/config.json", sizes.unet.to_dict())
    write(folder / "vae/config.json", sizes.vae.to_dict())
    for part, text in sizes.texts.items():
        write(folder / part.folder / "config.json", text_to_json(text))
    write(folder / "scheduler/scheduler_config.json", sizes.schedule.to_dict())


def _xl(folder: Path) -> Any:
    from common.diffusion.architecture import read_architecture

    sizes = read_architecture(folder)
    sizes.require_fit()
    return sizes


def _make_schedulers(folder: Path) -> None:
    from common.diffusion.scheduler_file import KNOWN

    for name, fields in KNOWN.items():
        defaults = {field: setting.default for field, setting in fields.items()}
        betas = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
        content = {"_class_name": name, "num_train_timesteps": 50, **betas, **defaults}
        write(folder / f"{name}.json", content | {"final_sigmas_type": "zero"})


def _schedulers(folder: Path) -> Any:
    from common.diffusion import NoiseSchedule, check_sampling

    for file in sorted(folder.iterdir()):
        check_sampling(NoiseSchedule.from_file(file), "checkpoint", 5)


def _clip_tokenizer(folder: Path) -> Any:
    from common.clip.tokenizer import Tokenizer

    return Tokenizer.from_directory(folder / "sd/tokenizer")(["a photo of a dog"])


def _language(folder: Path) -> Any:
    from common.files import read_record
    from common.language.hugging_face import lm_from_json

    return lm_from_json(read_record(folder / "lm/config.json"))


def _make_safetensors(folder: Path) -> None:
    from common.weights.files import write_tensors

    arrays = {"a.weight": np.ones((3, 4), np.float32), "b": np.zeros(5, np.float16)}
    write_tensors(folder / "model.safetensors", arrays, {"format": "pt"})


def _tensors(folder: Path) -> Any:
    from common.weights.files import read_tensors

    return {name: np.array(array) for name, array in read_tensors(folder, "model").items()}


READERS = {
    "clip_config": Reader(
        copied("clip/config.json", "clip/preprocessor_config.json"), _clip_config
    ),
    "open_clip_config": Reader(_make_open_clip, _open_clip),
    "clipa": Reader(_make_clipa, _described),
    "metaclip2": Reader(_make_metaclip2, _described),
    "diffusion_config": Reader(
        copied(
            "sd/unet/config.json",
            "sd/vae/config.json",
            "sd/text_encoder/config.json",
            "sd/scheduler",
        ),
        _diffusion,
    ),
    "xl_config": Reader(_make_xl, _xl),
    "scheduler": Reader(_make_schedulers, _schedulers),
    "clip_tokenizer": Reader(copied("sd/tokenizer"), _clip_tokenizer),
    "language_config": Reader(copied("lm/config.json"), _language),
    "safetensors": Reader(_make_safetensors, _tensors),
}
