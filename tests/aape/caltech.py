"""Real CLIP features of Caltech-101 as files that the package reads.

    python -m tests.aape.caltech SHARED OUT

SHARED is the folder of optional test data. OUT receives `caltech31.npz`, the 16-shot features of
the classes whose name has a real text feature, `texts31.npz` with these, `related31.npz` with
those of related names as prompts, and `caltech100-SHOTS.npz`, all classes without any text.
"""

import gzip
import json
import re
import sys
from pathlib import Path

import numpy as np

from configs.aape import get_config

SHOTS = 16
RELATED = 9
"""Names beside a class's own that stand in for sentences about it."""


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


def related(shared: Path, names: list[str], count: int) -> dict[str, list[str]]:
    """The LVIS names nearest to each name in CLIP's text space; none of them is a class."""
    texts = {name: x / np.linalg.norm(x) for name, x in lvis_features(shared).items()}
    others = [name for name in texts if name not in names]
    matrix = np.stack([texts[name] for name in others])
    nearest = {name: np.argsort(-(matrix @ texts[name]))[:count] for name in names}
    return {name: [others[row] for row in rows] for name, rows in nearest.items()}


def write_related(shared: Path, file: Path, names: list[str], count: int = RELATED) -> Path:
    """As `texts31.npz`, with the features of related names, and its own, as a class's prompts."""
    texts = lvis_features(shared)
    prompts = [(name, *near) for name, near in related(shared, names, count).items()]
    np.savez(
        file,
        classnames=np.array(names),
        class_features=np.stack([texts[name] for name in names]),
        prompt_features=np.stack([texts[prompt] for own in prompts for prompt in own]),
        prompt_labels=np.repeat(np.arange(len(names)), count + 1),
    )
    return file


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
    where = f"model=,data=features:{data},prompts.source=features:{text},shots=0"
    where += ",subsample=base"
    return get_config(f"{where},{arg}" if arg else where)


def main() -> None:
    """Writes all files."""
    shared, folder = map(Path, sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    _, text = write_files(shared, folder)
    with np.load(text) as archive:
        names = archive["classnames"].tolist()
    write_related(shared, folder / "related31.npz", names)
    for name, near in related(shared, names, RELATED).items():
        print(f"{name}: {', '.join(near)}")
    for shots in (1, 2, 4, 8, 16):
        everything = list(range(len(class_names(shared))))
        write_images(shared, folder / f"caltech100-{shots}.npz", everything, shots)


if __name__ == "__main__":
    main()
