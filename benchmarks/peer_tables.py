"""What other JAX collections with CLIP's networks are, and the tables of `benchmarks.peers`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.evaluation.tables import markdown_table

OURS = "this package"


@dataclass(frozen=True)
class Peer:
    """A library on PyPI that holds CLIP's networks in JAX and can be given their weights.

    Attributes:
      requirements: What pip installs into its environment.
      alone: The first requirement is installed without what it asks for.
      reads: How it comes to the weights of a folder in Hugging Face's layout.
      more: What it has that this package has not.
      why: The reason of an error above rounding; empty where there is none.
    """

    requirements: tuple[str, ...]
    alone: bool
    reads: str
    more: str
    why: str = ""


PEERS: Mapping[str, Peer] = {
    "transformers": Peer(
        ("transformers==4.57.6", "flax<0.11", "jax<0.7", "jaxlib<0.7", "safetensors"),
        alone=False,
        reads="yes, up to version 4; version 5 has no Flax classes",
        more="many families of models beside CLIP, with generation of texts; training from nothing",
    ),
    "keras-hub": Peer(
        (
            *("keras-hub==0.32.0", "keras>=3.15", "jax", "absl-py", "packaging", "regex", "rich"),
            *("kagglehub", "sentencepiece", "tokenizers", "pillow", "safetensors"),
        ),
        alone=True,
        reads="no: presets of its own; the script assigns them",
        more="SigLIP, MetaCLIP 2, Stable Diffusion 3.5 and Flux, one code for JAX, PyTorch and "
        "TensorFlow, training from nothing",
        why="the last layer norm of its text tower has the epsilon 1e-6 where CLIP's has 1e-5, "
        "which counts the more the smaller the hidden states are; with 1e-5 the error is "
        "rounding's",
    ),
}
"""In the order of the table."""

NOT_MEASURED: Mapping[str, str] = {
    "clip-jax 0.0.6": "trains CLIPs of its own design from nothing, at scale; there is neither the "
    "norm in front of the image tower's blocks nor OpenAI's activation, so published CLIPs do not "
    "fit in",
    "easydel 0.3.0": "holds CLIP and SigLIP for training and serving at scale; asks for ray, "
    "fastapi, wandb and exact versions of transformers and Flax, which were not installed",
    "clip-jaxtorch 0.1.0": "holds OpenAI's CLIP; its modules fail with jaxtorch 0.6, and jaxtorch "
    "0.2, which they were written for, with JAX of today",
    "equimo 2.7.0": "holds image towers of SigLIP 2 in files of its own; asks for JAX 0.11 and "
    "Python 3.12",
    "flaxmodels 0.1.3": "holds no CLIP",
    "jimm 0.0.1": "image classifiers; holds no CLIP",
    "jax-bonsai 0.0.1": "an empty package",
}
"""By name and version: why it has no row."""

HEADER = (
    *("library", "text error", "image error", "texts, CPU s", "images, CPU s", "load, CPU s"),
    "peak / weights",
)


def tables(results: Mapping[str, Any]) -> str:
    """Return what `benchmarks.peers` measured, as the page shows it."""
    rows = [_row(name, figures, results) for name, figures in results["libraries"].items()]
    known = {name: peer for name, peer in PEERS.items() if name in results["libraries"]}
    told = [
        (name, _versions(results["libraries"][name]), peer.reads, peer.more)
        for name, peer in known.items()
    ]
    left_out = [(name, reason) for name, reason in NOT_MEASURED.items()]
    parts = [
        markdown_table(HEADER, rows),
        *_reasons(results),
        markdown_table(("library", "versions", "reads a folder of Hugging Face", "has more"), told),
        markdown_table(("not measured", "why"), left_out),
    ]
    return "\n\n".join(parts)


def _row(name: str, figures: Mapping[str, Any], results: Mapping[str, Any]) -> tuple[str, ...]:
    errors = [f"{figures[f'{part}_error']:.1e}" for part in ("text", "image")]
    names = ("text_seconds", "image_seconds", "load_seconds")
    seconds = [f"{figures[x]:.2f}" for x in names]
    return name, *errors, *seconds, f"{figures['load_bytes'] / results['bytes']:.2f}"


def _reasons(results: Mapping[str, Any]) -> list[str]:
    return [
        f"{name} is further off: {PEERS[name].why}."
        for name, figures in results["libraries"].items()
        if name in PEERS and PEERS[name].why and max(_errors(figures)) > results["tolerance"]
    ]


def _errors(figures: Mapping[str, Any]) -> tuple[float, float]:
    return figures["text_error"], figures["image_error"]


def _versions(figures: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {number}" for name, number in figures["versions"].items())
