"""Real CLIP features of Caltech-101 as files that the package reads."""

import gzip
import json
import re
from pathlib import Path

import numpy as np

from configs.aape import get_config

SHOTS = 16


def class_names(shared: Path) -> list[str]:
    """CoOp's 100 class names by label."""
    file = shared / "coop_splits" / "split_zhou_Caltech101.json.gz"
    rows = json.loads(gzip.decompress(file.read_bytes()))["test"]
    names = {label: name.replace("_", " ").lower() for _, label, name in rows}
    return [names[label] for label in range(len(names))]


def lvis_features(shared: Path) -> dict[str, np.ndarray]:
    """Real text features of "a {name}" by cleaned LVIS name; of equal names the first."""
    folder = shared / "clip_text_features"
    listed = json.loads((folder / "lvis_v1_train_cat_info.json").read_text())
    vectors = np.load(folder / "lvis_v1_clip_a+cname.npy").astype(np.float32)
    names = [entry["name"] for entry in sorted(listed, key=lambda entry: entry["id"])]
    cleaned = [re.sub(r"\(.*?\)", "", n).replace("_", " ").strip().lower() for n in names]
    # Two LVIS names differ in their brackets only: octopus_(food) and octopus_(animal).
    return dict(reversed(list(zip(cleaned, vectors, strict=True))))


def write_files(shared: Path, folder: Path) -> tuple[Path, Path]:
    """Writes `caltech31.npz` and `texts31.npz`: the classes whose name has a text feature."""
    names, texts = class_names(shared), lvis_features(shared)
    kept = [label for label, name in enumerate(names) if name in texts]
    text = folder / "texts31.npz"
    chosen = [names[label] for label in kept]
    features = np.stack([texts[name] for name in chosen])
    np.savez(text, classnames=np.array(chosen), class_features=features)
    return write_images(shared, folder / "caltech31.npz", kept, SHOTS), text


def write_images(shared: Path, file: Path, kept: list[int], shots: int) -> Path:
    """Writes the few-shot and test features of some classes."""
    names = class_names(shared)
    with np.load(shared / "clip_image_features" / "caltech101.npz") as archive:
        arrays = dict(archive)
    parts = {}
    for part, source in (("train", f"shot{shots}"), ("test", "test")):
        x, y = arrays[f"{source}_x"].astype(np.float32), arrays[f"{source}_y"].astype(int)
        own = np.isin(y, kept)
        parts |= {f"{part}_features": x[own], f"{part}_labels": np.searchsorted(kept, y[own])}
    np.savez(file, **parts, classnames=np.array([names[label] for label in kept]))
    return file


def settings(files: tuple[Path, Path], arg: str = ""):
    """The config of a run on these files."""
    data, text = files
    where = f"model=,data=features:{data},prompts.corpus=features:{text},shots=0"
    return get_config(f"{where},{arg}" if arg else where)
