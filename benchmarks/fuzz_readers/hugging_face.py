"""Data sets in the layouts of Hugging Face's `datasets`; nothing where it is not installed."""

import importlib.util
import json
from pathlib import Path
from typing import Any

from benchmarks.fuzz_readers.reader import Reader, picture


def _make_parquet(folder: Path) -> None:
    datasets = _quiet()
    picture(folder / "a.png")
    photo = {"bytes": (folder / "a.png").read_bytes(), "path": None}
    names = datasets.ClassLabel(names=["a cat", "dog"])
    rows = [{"image": photo, "label": label} for label in (0, 1, 0, 1)]
    features = datasets.Features({"image": datasets.Image(), "label": names})
    table = datasets.Dataset.from_list(rows, features=features)
    for part in ("train", "test"):
        table.to_parquet(folder / "set" / f"{part}.parquet")


def _make_image_folder(folder: Path) -> None:
    lines = []
    for number, name in enumerate(("a cat", "dog", "a cat", "dog")):
        picture(folder / "set/train" / f"{number}.png", number)
        lines.append(json.dumps({"file_name": f"{number}.png", "label": name}))
    (folder / "set/train/metadata.jsonl").write_text("\n".join(lines))
    card = "---\nconfigs:\n- config_name: default\n  data_dir: train\n---\n"
    (folder / "set/README.md").write_text(card)


def _read(folder: Path) -> Any:
    from common.data import open_dataset

    config = _quiet().config
    before, config.HF_DATASETS_CACHE = config.HF_DATASETS_CACHE, folder / "cache"
    try:
        dataset = open_dataset(f"hf:{folder / 'set'}", holdout=1)
        return [dataset.train.load(row) for row in range(len(dataset.train))]
    finally:
        config.HF_DATASETS_CACHE = before


def _quiet() -> Any:
    import datasets

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    return datasets


READERS = {
    "hf_parquet": Reader(_make_parquet, _read, "**/*.parquet"),
    "hf_image_folder": Reader(_make_image_folder, _read, "set/**/*[!g]"),
}
if not importlib.util.find_spec("datasets"):
    READERS = {}
