"""What `benchmarks.fuzz` reads: for each reader sound files, and how they are read."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from common.paths import as_path

MODELS = Path(__file__).parents[1] / "common/pocket/models"


@dataclass(frozen=True)
class Reader:
    """One reader of outside files.

    Attributes:
      make: Writes sound files into a folder.
      read: Reads them; ends well or in a `UserError`.
      files: Which of them are damaged, as a pattern.
    """

    make: Callable[[Path], None]
    read: Callable[[Path], Any]
    files: str = "**/*"


def write(path: Path, content: Any) -> None:
    """Write JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def picture(path: Path, number: int = 0, **options: Any) -> None:
    """Write a small picture in the format of its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), (40 * number % 256, 90, 20)).save(path, **options)


def copied(*names: str) -> Callable[[Path], None]:
    """Return what copies files of the pocket models."""

    def make(folder: Path) -> None:
        for name in names:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (MODELS / name).is_dir() else shutil.copy
            copy(MODELS / name, target)

    return make


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


def _diffusion(folder: Path) -> Any:
    from common.diffusion.known import Architecture

    return Architecture.from_directory(folder / "sd")


def _make_schedulers(folder: Path) -> None:
    from common.diffusion.scheduler_file import KNOWN

    for name, fields in KNOWN.items():
        defaults = {field: each.default for field, each in fields.items()}
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


def _make_tokens(folder: Path) -> None:
    from mcti_jax.formats.tokens import LearnedToken
    from mcti_jax.formats.write import FORMATS, write_token

    facts = {"class": "dog", "class_index": "0", "base_model": "pocket"}
    token = LearnedToken("<dog>", np.ones((2, 8), np.float32), facts)
    for name in FORMATS:
        write_token(folder / name, token, name)


def _tokens(folder: Path) -> Any:
    from mcti_jax.formats.read import read_tokens

    return [read_tokens(file) for file in sorted(folder.rglob("*")) if file.is_file()]


def _make_features(folder: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
    labels, names = np.array([0, 0, 0, 1, 1, 1]), np.array(["cat", "big dog"])
    np.savez(folder / "whole.npz", features=rows, labels=labels, classnames=names)


def _features(folder: Path) -> Any:
    from common.data import open_dataset

    return open_dataset(f"features:{folder / 'whole.npz'}", holdout=1)


def _make_photos(folder: Path) -> None:
    from common.photos.formats import suffixes

    for suffix in sorted(suffixes() & {".png", ".jpg", ".webp", ".gif", ".bmp", ".tif", ".avif"}):
        picture(folder / f"a{suffix}")
    picture(folder / "grey.png")
    exif = Image.Exif()
    exif.update({0x0112: 6, 0x010F: "Maker", 0x0132: "2020:01:01 00:00:00", 0x011A: 72.0})
    picture(folder / "turned.jpg", exif=exif)
    picture(folder / "turned.png", exif=exif)


def _photos(folder: Path) -> Any:
    from common.data.dataset import ImageSplit
    from common.photos.broken import errors_of
    from common.photos.photo import photo_file

    files = sorted(folder.iterdir())
    labels = np.zeros(len(files), np.int32)
    split = ImageSplit(labels, tuple(map(str, files)), tuple(map(photo_file, files)))
    for error in errors_of(split.load, range(len(files))):
        raise error


def _make_folder(folder: Path) -> None:
    for name in ("a cat", "dog"):
        for number in range(3):
            picture(folder / "photos" / name / f"{number}.png", number)


def _folder(folder: Path) -> Any:
    from common.data import open_dataset

    return open_dataset(f"folder:{folder / 'photos'}", holdout=1).train.load(0)


def _make_coop(folder: Path) -> None:
    rows = [[f"{name}_{n}.png", label, name] for label, name in enumerate("ab") for n in range(3)]
    for number, (path, *_) in enumerate(rows):
        picture(folder / "images" / path, number)
    parts = {part: rows[at::3] for at, part in enumerate(("train", "val", "test"))}
    write(folder / "split_zhou_X.json", parts)
    data = [{"impath": f"./x/{rows[0][0]}", "label": 0, "classname": "a"}]
    write(folder / "shots.json", {"train": {"indices": [0], "data": data}})


def _coop(folder: Path) -> Any:
    from common.data import open_dataset
    from common.data.coop import few_shot_from_file

    found = open_dataset(f"coop:{folder}")
    return few_shot_from_file(found.train, folder / "shots.json")


def _make_imagenet(folder: Path) -> None:
    for part in ("train", "val"):
        for number, name in enumerate(("n01", "n02")):
            picture(folder / "imagenet/images" / part / name / "a.png", number)
    (folder / "imagenet/classnames.txt").write_text("n01 tench\nn02 great white shark\n")


def _imagenet(folder: Path) -> Any:
    from common.data import open_dataset

    return open_dataset(f"coop:{folder / 'imagenet'}")


def _make_phrases(folder: Path) -> None:
    write(folder / "corpus.json", {"cat": ["a cat", "one cat"], "big_dog": ["a big dog"]})


def _phrases(folder: Path) -> Any:
    from protext_jax.corpus import match, read_corpus

    corpus = read_corpus(folder / "corpus.json", "{phrase}")
    lengths = {text: 5 for texts in corpus.values() for text in texts}
    return match(corpus, ["cat", "big dog"], lengths, 9)


def _make_captions(folder: Path) -> None:
    sentences = [{"raw": "a cat", "tokens": ["a", "cat"]}, {"raw": "some cat"}]
    images = [
        {"filename": name, "filepath": "all", "split": part, "sentences": sentences}
        for name, part in (("a.png", "train"), ("b.png", "test"))
    ]
    write(folder / "karpathy.json", {"images": images})
    for name in ("a.png", "b.png"):
        picture(folder / "photos/all" / name)


def _captions(folder: Path) -> Any:
    from aape_jax.tasks.captioned import open_texts

    return open_texts(f"karpathy:{folder / 'karpathy.json'},{folder / 'photos'}")


def _make_questions(folder: Path) -> None:
    for part, photo in (("train2014", 7), ("val2014", 9)):
        question = {"question_id": photo, "image_id": photo, "question": "What is it?"}
        answers = [{"answer": "a cat", "answer_id": n} for n in range(10)]
        answer = {"question_id": photo, "image_id": photo, "answer_type": "other"}
        write(folder / f"v2_OpenEnded_mscoco_{part}_questions.json", {"questions": [question]})
        given = {"annotations": [answer | {"answers": answers}]}
        write(folder / f"v2_mscoco_{part}_annotations.json", given)
        picture(folder / part / f"COCO_{part}_{photo:012d}.jpg")
    captions = {"annotations": [{"image_id": 7, "caption": "a cat"}]}
    write(folder / "captions_train2014.json", captions)


def _questions(folder: Path) -> Any:
    from aape_jax.tasks.questions import read_questions

    return read_questions(f"vqa2:{folder}")


def _make_easy(folder: Path) -> None:
    for part in ("train", "test"):
        write(folder / f"data/{part}/questions.json", [["what colour is it?", "red", 0]])
        picture(folder / f"data/{part}/images/0.png")


def _easy(folder: Path) -> Any:
    from aape_jax.tasks.questions import read_questions

    return read_questions(f"easy_vqa:{folder}")


def _make_heads(folder: Path) -> None:
    from aape_jax.heads_file import write_head

    write_head(folder / "head.safetensors", {"dense": {"kernel": np.ones((3, 4), np.float32)}})


def _heads(folder: Path) -> Any:
    from aape_jax.heads_file import read_head

    return read_head(folder / "head.safetensors")


def _make_prompts(folder: Path) -> None:
    from protext_jax.files import FORMAT, LearnedPrompts, write_prompts

    facts = {"format": FORMAT, "fingerprint": "0" * 16, "base_model": "pocket", "seed": "1"}
    learned = LearnedPrompts({"prompts": np.ones((1, 2, 3), np.float32)}, facts)
    write_prompts(folder / "prompts.safetensors", learned)


def _prompts(folder: Path) -> Any:
    from protext_jax.files import read_prompts

    return read_prompts(folder / "prompts.safetensors")


_KEY = {"what": "a test", "rows": [0, 2]}
_ARRAYS = {"x": np.arange(6, dtype=np.float32).reshape(2, 3)}


def _make_cache(folder: Path) -> None:
    from common.data.cache import cached

    cached(folder, _KEY, lambda: _ARRAYS)


def _cache(folder: Path) -> None:
    from common.data.cache import Expected, cached

    found = cached(folder, _KEY, lambda: _ARRAYS, Expected(frozenset({"x"}), 2, {"x": (3,)}))
    if set(found) != {"x"}:
        raise AssertionError("a damaged entry of the cache was read")


def _make_run(folder: Path) -> None:
    result = {
        **{"method": "mcti", "dataset": "pocket", "model": "pocket", "seed": 0, "updates": 4},
        **{"seconds": 1.5, "devices": "1 CPU", "metrics": {"accuracy": 50.0, "train/loss": 1.0}},
        "baselines": {"zero_shot": {"accuracy": 40.0}},
        **{"details": {"tokens": [{"class": "a"}]}, "versions": {"jax": "0.10"}},
    }
    write(folder / "run/result.json", result)
    write(folder / "run/config.json", {"data": "pocket", "seed": 0, "generate": {"steps": 5}})
    lines = [{"step": step, "loss": 1 / (step + 1)} for step in range(4)]
    (folder / "run/metrics.jsonl").write_text("".join(f"{json.dumps(x)}\n" for x in lines))


def _run_folder(folder: Path) -> Any:
    from common.page.page import write_page
    from common.report import report
    from common.runs import read_run

    run = read_run(as_path(str(folder / "run")))
    report([run])
    write_page(run.folder, run.result, run.config)


def _config() -> ConfigDict:
    own = {
        "method": "mcti",
        "data": "pocket",
        "model": "pocket",
        "seed": 0,
        "rate": 0.1,
        "names": ("a", "b"),
    }
    config = ConfigDict(own)
    config.mesh = ConfigDict({"data": 1, "fast": False})
    return config


def _make_setting(folder: Path) -> None:
    text = "data=folder:a/b,seed=3,rate=1e-3,mesh.data=2,mesh.fast,names=(a,b)"
    (folder / "config.txt").write_text(text)


def _setting(folder: Path) -> Any:
    from common.config import apply_arg

    return apply_arg(_config(), (folder / "config.txt").read_bytes().decode("utf-8", "replace"))


def _make_written_config(folder: Path) -> None:
    write(folder / "config.json", json.loads(_config().to_json()))


def _written_config(folder: Path) -> Any:
    from common.config import read_config

    return read_config(as_path(str(folder)), _config())


def _make_template(folder: Path) -> None:
    (folder / "template.txt").write_text("a photo of {}, nice.")


def _template(folder: Path) -> Any:
    from common.data.templates import fill
    from mcti_jax.options import check_template

    text = (folder / "template.txt").read_bytes().decode("utf-8", "replace")
    check_template("generate.prompt", text)
    return fill(text, name="a dog", phrase="which barks")


READERS: dict[str, Reader] = {
    "clip_config": Reader(
        copied("clip/config.json", "clip/preprocessor_config.json"), _clip_config
    ),
    "open_clip_config": Reader(_make_open_clip, _open_clip),
    "diffusion_config": Reader(
        copied(
            "sd/unet/config.json",
            "sd/vae/config.json",
            "sd/text_encoder/config.json",
            "sd/scheduler",
        ),
        _diffusion,
    ),
    "scheduler": Reader(_make_schedulers, _schedulers),
    "clip_tokenizer": Reader(copied("sd/tokenizer"), _clip_tokenizer),
    "language_config": Reader(copied("lm/config.json"), _language),
    "safetensors": Reader(_make_safetensors, _tensors),
    "tokens": Reader(_make_tokens, _tokens),
    "features": Reader(_make_features, _features),
    "photos": Reader(_make_photos, _photos),
    "folder": Reader(_make_folder, _folder),
    "coop": Reader(_make_coop, _coop, "*.json"),
    "imagenet_names": Reader(_make_imagenet, _imagenet, "**/*.txt"),
    "phrases": Reader(_make_phrases, _phrases),
    "captions": Reader(_make_captions, _captions, "*.json"),
    "vqa2": Reader(_make_questions, _questions, "*.json"),
    "easy_vqa": Reader(_make_easy, _easy, "**/*.json"),
    "heads": Reader(_make_heads, _heads),
    "prompts": Reader(_make_prompts, _prompts),
    "cache": Reader(_make_cache, _cache),
    "run_folder": Reader(_make_run, _run_folder),
    "config_string": Reader(_make_setting, _setting),
    "config_file": Reader(_make_written_config, _written_config),
    "template": Reader(_make_template, _template),
}
