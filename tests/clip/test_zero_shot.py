"""Zero-shot classification with real CLIP features: photos of Caltech-101, names of LVIS."""

import gzip
import json

import numpy as np
import pytest

from common.evaluation.classification import nearest_by_cosine


def test_names_classify_photos(shared_data):
    lvis = json.loads((shared_data / "clip_text_features/lvis_v1_train_cat_info.json").read_text())
    texts = np.load(shared_data / "clip_text_features/lvis_v1_clip_a+cname.npy")
    named = {}
    for entry, text in zip(lvis, texts, strict=True):
        name = entry["name"].lower().split("(")[0].replace("_", " ").strip()
        named.setdefault(name, text)  # of "octopus_(food)" and "octopus_(animal)" the first
    split = json.loads(
        gzip.decompress((shared_data / "coop_splits/split_zhou_Caltech101.json.gz").read_bytes())
    )
    names = {label: name.replace("_", " ") for _, label, name in split["test"]}
    shared = [label for label, name in names.items() if name in named]
    photos = np.load(shared_data / "clip_image_features/caltech101.npz")
    rows = np.isin(photos["test_y"], shared)
    assert (len(shared), rows.sum()) == (31, 849)
    classifier = np.stack([named[names[label]] for label in shared]).astype(np.float32)
    predicted = nearest_by_cosine(photos["test_x"][rows].astype(np.float32), classifier)
    accuracy = np.mean(np.asarray(shared)[predicted] == photos["test_y"][rows])
    assert accuracy == pytest.approx(0.979, abs=5e-4)
