"""The paper's figures, to stand beside a run's own: top-1 accuracy in percent, CLIP ViT-B/16.

Sources: tables 3 (base and novel classes), 4 and 12 (cross-dataset), 5 (domain generalisation), 6,
13 and 15 (supervised by text) of arXiv 2401.02418v1.
"""

from collections.abc import Mapping

from common.protocols.class_parts import BASE, NEW

# CLIP, CuPL, ProText: base and novel classes.
BASE_TO_NEW = {
    "imagenet": ((72.43, 68.14), (74.30, 68.14), (75.00, 71.38)),
    "caltech101": ((96.84, 94.00), (97.22, 94.00), (98.06, 95.63)),
    "oxford_pets": ((91.17, 97.26), (94.42, 97.26), (94.95, 98.00)),
    "stanford_cars": ((63.37, 74.89), (63.54, 74.89), (64.54, 76.08)),
    "oxford_flowers": ((72.08, 77.80), (74.36, 77.80), (74.36, 78.44)),
    "food101": ((90.10, 91.22), (89.93, 91.22), (90.20, 91.98)),
    "fgvc_aircraft": ((27.19, 36.29), (30.61, 36.29), (30.91, 34.13)),
    "sun397": ((69.36, 75.35), (76.02, 75.35), (76.14, 79.14)),
    "dtd": ((53.24, 59.90), (62.85, 59.90), (63.08, 61.59)),
    "eurosat": ((56.48, 64.05), (59.64, 64.05), (59.71, 80.97)),
    "ucf101": ((70.53, 77.50), (75.28, 77.50), (75.54, 79.50)),
}
# CLIP, CuPL, WaffleCLIP with concepts, ProText.
ALL_CLASSES = {
    "imagenet": (66.72, 69.60, 68.34, 70.22),
    "caltech101": (92.98, 94.32, 94.01, 95.29),
    "dtd": (44.56, 53.96, 45.15, 54.02),
    "eurosat": (47.84, 60.27, 47.74, 58.53),
    "stanford_cars": (65.29, 65.95, 63.42, 66.77),
    "oxford_flowers": (71.30, 73.85, 72.00, 74.42),
    "fgvc_aircraft": (24.90, 27.66, 24.49, 29.01),
    "sun397": (62.59, 69.00, 66.17, 69.76),
    "oxford_pets": (89.13, 91.11, 89.57, 92.72),
    "ucf101": (66.83, 70.63, 67.96, 71.45),
    "food101": (86.11, 86.11, 86.84, 86.68),
}
# CoOp, CLIP, WaffleCLIP with concepts, ProText; learned on ImageNet, as are those below.
CROSS_DATASET = {
    "imagenet": (71.51, 66.72, 68.34, 69.80),
    "caltech101": (93.70, 92.98, 94.01, 94.81),
    "oxford_pets": (89.14, 89.13, 89.57, 91.01),
    "stanford_cars": (64.51, 65.29, 63.42, 66.00),
    "oxford_flowers": (68.71, 71.30, 72.00, 72.35),
    "food101": (85.30, 86.11, 86.84, 86.66),
    "fgvc_aircraft": (18.47, 24.90, 24.49, 24.72),
    "sun397": (64.15, 62.59, 66.17, 67.34),
    "dtd": (41.92, 44.56, 45.15, 47.93),
    "eurosat": (46.39, 47.84, 47.74, 51.86),
    "ucf101": (66.55, 66.83, 67.96, 69.60),
}
# CoOp, CLIP, CuPL, ProText.
DOMAIN_GENERALISATION = {
    "imagenet": (71.51, 66.72, 69.62, 70.22),
    "imagenet_v2": (64.20, 60.83, 63.27, 63.54),
    "imagenet_sketch": (47.99, 46.15, 49.02, 49.45),
    "imagenet_a": (49.71, 47.77, 50.72, 51.47),
    "imagenet_r": (75.21, 73.96, 77.05, 77.35),
}
TABLES = {
    "all_classes": (("clip", "cupl", "waffle_clip", "protext"), ALL_CLASSES),
    "cross_dataset": (("coop", "clip", "waffle_clip", "protext"), CROSS_DATASET),
    "domain_generalisation": (("coop", "clip", "cupl", "protext"), DOMAIN_GENERALISATION),
}


def published(
    protocol: str, recipe: str, prefixes: Mapping[str, str]
) -> dict[str, dict[str, float]]:
    """Return the paper's rows for a run, as shares, under the names of the run's own metrics.

    Args:
      protocol: Of the run.
      recipe: The data set whose settings it has. Where the paper learns from each data set by
        itself, its figures of another one are not a run's of this recipe.
      prefixes: The data set that the run's metrics of each prefix are about, by `identify`'s
        names; for base-to-new those of "base/" and "new/".
    """
    rows: dict[str, dict[str, float]] = {}
    by_itself = protocol in ("base_to_new", "all_classes")
    for prefix, dataset in prefixes.items():
        if by_itself and dataset != recipe:
            continue
        for method, number in _figures(protocol, prefix, dataset).items():
            rows.setdefault(f"{method} (paper)", {})[f"{prefix}accuracy"] = number / 100
    return rows


def _figures(protocol: str, prefix: str, dataset: str) -> dict[str, float]:
    if protocol == "base_to_new":
        half = {BASE: 0, NEW: 1}.get(prefix)
        if half is None or dataset not in BASE_TO_NEW:
            return {}
        numbers = [halves[half] for halves in BASE_TO_NEW[dataset]]
        return dict(zip(("clip", "cupl", "protext"), numbers, strict=True))
    methods, table = TABLES[protocol]
    return dict(zip(methods, table[dataset], strict=True)) if dataset in table else {}
