"""The forms of AAPE that `benchmarks.aape_forms` trains: what each of them changes."""

from typing import Any

from aape_jax.core.class_features import CLASS_FEATURES
from aape_jax.core.presets import preset

Fields = dict[str, Any]


def _form(name: str) -> Fields:
    """Return what a preset sets, but for the variants beside it."""
    return {field: value for field, value in preset(name).items() if field != "compare"}


H_AND_G, H_ALONE = _form("projection"), _form("residual")
WITHOUT = {"loss.distill": False}

LITERAL = {"projection.residual_alpha": 1.0, "projection.zero_init": False}
RELU_FC = {"projection.kind": "fc", "projection.out_relu": True}
CHANGES_OF_G: dict[str, Fields] = {
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
FORMS_OF_G = {name: H_AND_G | fields for name, fields in CHANGES_OF_G.items()}


def _each(name: str, field: str, *values: Any) -> dict[str, Fields]:
    return {f"{name} {value}": H_ALONE | {field: value} for value in values}


UNBLENDED = {"classifier.blend": 1.0}
"""h(x) as it was trained."""

DISTILLATION: dict[str, Fields] = {
    f"{form}, {classes}, {taught}": fields | UNBLENDED | {"classifier.classes": classes} | how
    for classes in CLASS_FEATURES
    for form, fields in (("h alone", H_ALONE), ("h and g", H_AND_G))
    for taught, how in (("no distillation", WITHOUT), ("lambda 1", {"loss.lambda": 1.0}))
}
RATES: dict[str, Fields] = {
    f"rate {rate}, lambda {weight}": H_ALONE
    | UNBLENDED
    | {"learning_rate": rate, "loss.lambda": weight, "classifier.classes": "template"}
    for rate in (0.001, 0.002, 0.005, 0.01, 0.02)
    for weight in (0.0, 0.3, 1.0)
}
AROUND: dict[str, Fields] = {
    "preset=residual": H_ALONE,
    **_each("classes", "classifier.classes", "template", "mix"),
    **_each("hidden", "generator.hidden", 32, 1024),
    **_each("rate", "learning_rate", 0.0005, 0.001, 0.005, 0.01, 0.02),
    "no distillation": H_ALONE | WITHOUT,
    **_each("lambda", "loss.lambda", 0.3, 3.0, 10.0),
    **_each("aggregator", "aggregator.kind", "random", "mean", "mlp"),
    "aggregator paper": H_ALONE | {"aggregator.kind": "paper", "aggregator.heads": 8},
    **_each("distance", "loss.distance", "cos"),
    **_each("updates", "updates", 100, 1000),
    **_each("weight decay", "weight_decay", 0.0, 5e-3),
    "g, too": H_ALONE | {"classifier.mode": "template_and_aape", "learning_rate": 2e-2},
    "g, too, and no residual": H_AND_G | {"classifier.classes": "sentences"},
    "no residual": H_ALONE | {"generator.residual": "none", "learning_rate": 2e-3},
}
"""One factor at a time."""

BLENDS: dict[str, Fields] = {
    **_each("blend", "classifier.blend", 0.15, 0.3, 0.5, 0.7, 0.85, 1.0),
    "h and g, sentences": H_AND_G | {"classifier.classes": "sentences"},
}

TABLES = {
    "g": FORMS_OF_G,
    "distillation": DISTILLATION,
    "rates": RATES,
    "around": AROUND,
    "blends": BLENDS,
}
