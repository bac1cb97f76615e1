"""The forms of AAPE that `benchmarks.aape_forms` trains: what each of them changes."""

from typing import Any

Fields = dict[str, Any]

LITERAL = {"projection.residual_alpha": 1.0, "projection.zero_init": False}
RELU_FC = {"projection.kind": "fc", "projection.out_relu": True}
FORMS_OF_G: dict[str, Fields] = {
    "bottleneck, random start, no residual": LITERAL,
    "one FC + output ReLU, random start": LITERAL | RELU_FC,
    "one FC + output ReLU, identity start on w": LITERAL
    | RELU_FC
    | {"projection.identity_init": True},
    "0.8 w + 0.2 bottleneck, zero-init": {},
    "0.8 w + 0.2 bottleneck, random start": {"projection.zero_init": False},
    "0.8 w + 0.2 FC-ReLU": RELU_FC | {"projection.zero_init": False},
    "w + bottleneck, zero-init": {
        "projection.residual_alpha": 1.0,
        "projection.residual": "add",
    },
}

H_AND_G = {
    "classifier.mode": "template_and_aape",
    "generator.residual": "none",
    "generator.hidden": 32,
    "learning_rate": 2e-2,
    "loss.lambda": 5.0,
}
H_ALONE = {
    "classifier.mode": "aape_only",
    "generator.residual": "image",
    "generator.hidden": 256,
    "learning_rate": 2e-2,
    "loss.lambda": 1.0,
}
WITHOUT = {"loss.distill": False}


def _each(name: str, field: str, values: tuple, base: Fields) -> dict[str, Fields]:
    return {f"{name} {value}": base | {field: value} for value in values}


DISTILLATION: dict[str, Fields] = {
    f"{form}, {classes}, {taught}": fields | {"classifier.classes": classes} | how
    for classes in ("template", "sentences", "mix")
    for form, fields in (("h alone", H_ALONE), ("h and g", H_AND_G))
    for taught, how in (("no distillation", WITHOUT), ("lambda 1", {"loss.lambda": 1.0}))
}

SENTENCES = H_ALONE | {"classifier.classes": "sentences"}
AROUND: dict[str, Fields] = {
    "h alone: hidden 256, rate 0.02, lambda 1": SENTENCES,
    **_each("classes", "classifier.classes", ("template", "mix"), SENTENCES),
    **_each("hidden", "generator.hidden", (32, 64, 128, 512, 1024), SENTENCES),
    **_each("rate", "learning_rate", (0.002, 0.005, 0.01, 0.05), SENTENCES),
    "no distillation": SENTENCES | WITHOUT,
    **_each("lambda", "loss.lambda", (0.3, 2.0, 5.0, 10.0, 30.0), SENTENCES),
    **_each("aggregator", "aggregator.kind", ("random", "mean", "mlp"), SENTENCES),
    "aggregator paper": SENTENCES | {"aggregator.kind": "paper", "aggregator.heads": 8},
    **_each("distance", "loss.distance", ("cos",), SENTENCES),
    **_each("updates", "updates", (100, 1000), SENTENCES),
    **_each("weight decay", "weight_decay", (0.0, 5e-3), SENTENCES),
    "g, too": SENTENCES | {"classifier.mode": "template_and_aape"},
    "g, too, and no residual": H_AND_G | {"classifier.classes": "sentences"},
    "no residual": SENTENCES | {"generator.residual": "none", "learning_rate": 2e-3},
}
"""One factor at a time."""

TABLES = {"g": FORMS_OF_G, "distillation": DISTILLATION, "around": AROUND}
