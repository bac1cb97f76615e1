"""What a run says of itself before its first update."""

from collections.abc import Collection, Sequence

from ml_collections import ConfigDict

from common.data.few_shot import shortfall_row
from common.text import counted
from common.training.summary import unread_counts
from mcti_jax.material import Material
from mcti_jax.networks import Networks
from mcti_jax.options import shots_of


def describe(
    config: ConfigDict,
    material: Material,
    known: Collection[int] = (),
    kept: Collection[int] = (),
    captioned: Sequence[str] = (),
) -> dict[str, str]:
    """Return what a run learns from and is measured on, as rows of its first table.

    Args:
      config: The run's.
      material: What it gathered.
      known: Classes that begin as tokens of `start`.
      kept: Those of them that stay as they are.
      captioned: The prompt of each photo, if photos have captions.
    """
    names, train, test = material.classnames, len(material.train), len(material.test)
    others = material.beside.classnames if material.beside else ()
    shots = shots_of(config)
    chosen = f" ({shots} of each class, shots={shots})" if train < material.found else ""
    tested = counted(test, "photo")
    if not test:
        tested = "no photo, so no accuracy is measured"
    elif len(names) == 1:
        tested += "; of one class no accuracy is measured"
    begun = {
        ("class begins there", "classes begin there"): len(known) - len(kept),
        ("class keeps its token", "classes keep their tokens"): len(kept),
    }
    described = sum(text != material.templates[0] for text in captioned)
    counts = ", ".join(counted(number, *what) for what, number in begun.items() if number)
    return {
        "classes": f"{len(names)}: {_listed(names)}",
        "start": f"{config.start}: {counts}" if counts else config.start,
        "beside": f"{len(others)}: {_listed(others)}" if others else "",
        "learns from": f"{train} of {counted(material.found, 'photo')}{chosen}",
        **shortfall_row(material.train, shots, names),
        "captions": f"of {counted(described, 'photo')}" if described else "",
        "passed over": material.passed_over,
        "kept for the test": tested,
        "model": f"Stable Diffusion {config.model}, CLIP {config.clip}",
        **unread_counts(config, {"classes": len(names) - len(kept)}),
    }


def other_weights(config: ConfigDict, networks: Networks) -> str:
    """Return a line where the class feature's tower was trained apart from the U-Net's; else ""."""
    reads = networks.text[networks.class_encoder].tower.config
    if networks.clip_text is None or reads.layers != networks.clip_text.config.layers:
        return ""
    return (
        f"The text encoder of {config.model} has other weights than that of {config.clip}, "
        "which the class feature comes from; class_tower=sd reads it from the former."
    )


def _listed(names: Sequence[str], room: int = 60) -> str:
    """Return as many of the names as fit into a line."""
    text = ", ".join(names)
    return text if len(text) <= room else f"{text[:room].rpartition(', ')[0] or text[:room]}, …"
