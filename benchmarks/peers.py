"""Other JAX collections with CLIP's networks beside this one: errors, seconds, memory.

    python -m benchmarks.peers                       prints the tables of the recorded results
    python -m benchmarks.peers --install=DIR         builds the environments in DIR, then measures
    python -m benchmarks.peers --environments=DIR    measures with those that DIR holds

One CLIP of random weights is written in Hugging Face's layout and loaded by each library in an
environment and a process of its own. An error is the largest difference from transformers in
PyTorch over the largest value, in float32. Seconds are those of all threads of the CPU, for 8
texts and 8 images, compiled before; memory is how much more the process held at most while loading
than before, over the bytes of the weights.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from benchmarks.peer_tables import OURS, PEERS, tables
from common.errors import UserError, run_command
from common.files import read_json, write_json
from common.paths import as_path
from common.progress import say

RESULTS = Path(__file__).parent / "results" / "peers.json"
RUNNERS = Path(__file__).parent / "peer_runners.py"
ROWS = 8
TOLERANCE = 3e-6  # Several times the rounding of float32.
PATCHES = {"ViT-B/32": 32, "ViT-B/16": 16}


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("install", None, "Folder to build environments in, with pip.")
    flags.DEFINE_string("environments", None, "Folder that holds environments.")
    flags.DEFINE_list("libraries", list(PEERS), "Which to measure beside this package.")
    flags.DEFINE_enum("model", "ViT-B/32", list(PATCHES), "Size of the CLIP.")


def main(argv: Sequence[str]) -> None:
    """Measure, or show what was measured."""
    del argv
    options = flags.FLAGS
    if unknown := set(options.libraries) - set(PEERS):
        raise UserError(f"unknown libraries {', '.join(unknown)}; there are {', '.join(PEERS)}.")
    if options.install and options.environments:
        raise UserError("--install builds environments and --environments finds them: give one.")
    if folder := options.install or options.environments:
        pythons = {name: _python(as_path(folder), name) for name in options.libraries}
        if options.install:
            for name, python in pythons.items():
                build(name, python)
        if absent := [name for name, python in pythons.items() if not python.is_file()]:
            raise UserError(
                f"{folder} holds no environment {absent[0]}: build it with --install={folder}."
            )
        write_json(RESULTS, measure(options.model, {OURS: Path(sys.executable), **pythons}))
    print(tables(read_json(RESULTS)))


def _python(folder: Path, name: str) -> Path:
    return folder / name / "bin" / "python"


def build(name: str, python: Path) -> None:
    """Build a library's environment, unless it is there."""
    if python.is_file():
        return
    say(f"building the environment of {name}")
    subprocess.run([sys.executable, "-m", "venv", python.parents[1]], check=True)
    first, *others = PEERS[name].requirements
    steps = [["--no-deps", first], others] if PEERS[name].alone else [[first, *others]]
    for requirements in steps:
        subprocess.run([python, "-m", "pip", "install", "-q", *requirements], check=True)


def measure(model: str, pythons: dict[str, Path]) -> dict[str, Any]:
    """Return the figures of each library, by the Python that has it."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        wanted = write_clip(model, folder)
        size = (folder / "model.safetensors").stat().st_size
        libraries = {name: _run(name, python, folder) for name, python in pythons.items()}
        for name, figures in libraries.items():
            found = np.load(folder / f"{name.replace(' ', '-')}.npz")
            for part, features in wanted.items():
                error = np.abs(found[part] - features).max() / np.abs(features).max()
                figures[f"{part}_error"] = float(error)
    return {"model": model, "bytes": size, "tolerance": TOLERANCE, "libraries": libraries}


def _run(name: str, python: Path, folder: Path) -> dict[str, Any]:
    say(f"measuring {name}")
    here = {"JAX_PLATFORMS": "cpu", "KERAS_BACKEND": "jax"}
    here |= {"PYTHONPATH": str(RUNNERS.parents[1]) if name == OURS else ""}
    command = [python, RUNNERS, name, folder]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **here})
    if done.returncode:
        raise UserError(f"{name} could not be measured (see above): build its environment anew.")
    return json.loads(done.stdout.splitlines()[-1])


def write_clip(model: str, folder: Path) -> dict[str, np.ndarray]:
    """Write a CLIP of random weights and inputs, and return PyTorch's features of these."""
    import torch
    from transformers import CLIPConfig, CLIPModel

    from common.clip import load_clip
    from common.clip.hugging_face import clip_to_json
    from common.clip.known import KNOWN

    config = clip_to_json(KNOWN[f"openai/clip-vit-base-patch{PATCHES[model]}"])
    torch.manual_seed(0)
    clip = CLIPModel(CLIPConfig(**config)).eval().requires_grad_(False)
    for weights in clip.parameters():
        if weights.ndim == 1:  # Biases and norms, which are drawn as zeros and ones.
            weights += 0.001 * torch.randn_like(weights)
    clip.save_pretrained(folder)
    load_clip("pocket").tokenizer.save(folder)  # Ours reads one; no text is read here.
    write_json(folder / "config.json", config)
    inputs = dict(_inputs(config))
    np.savez(folder / "inputs.npz", **inputs)
    ids = torch.from_numpy(inputs["ids"]).long()
    pixels = torch.from_numpy(inputs["pixels"]).permute(0, 3, 1, 2)
    text = clip.text_model(ids).pooler_output
    image = clip.vision_model(pixels).pooler_output
    return {
        "text": clip.text_projection(text).numpy(),
        "image": clip.visual_projection(image).numpy(),
    }


def _inputs(config: dict[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    words = config["text_config"]["vocab_size"]
    ids = rng.integers(0, words - 2, (ROWS, 77), dtype=np.int32)
    ids[:, 0] = words - 2
    for row, end in zip(ids, rng.integers(5, 77, ROWS), strict=True):
        row[end], row[end + 1 :] = words - 1, 0
    yield "ids", ids
    side = config["vision_config"]["image_size"]
    yield "pixels", rng.standard_normal((ROWS, side, side, 3), dtype=np.float32)


if __name__ == "__main__":
    run_command(main, define_flags)
