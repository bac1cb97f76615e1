"""CPU seconds and memory of loading a model, ours beside PyTorch's libraries.

    python -m benchmarks.load_time [--models=ViT-L/14,SD1.5] [--folder=DIR]

Writes random weights of full size in the layout that is published (float32, safetensors) into a
temporary folder, 1.6 and 4.0 GiB, and loads each in a process of its own that has imported its
library before. Ours are placed on the CPU as a device; of PyTorch's, which stay in the mapped file
until they are used, each number is read once. Counted are the CPU seconds of all threads, those of
the system among them, but not what the host of a virtual machine takes to hand out memory; and how
much more memory the process held at most than before (peak RSS, pages of mapped files included)
over the bytes of the weights. A line of what is not installed is left out.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from common.errors import UserError, run_command
from common.evaluation.tables import markdown_table

HEADER = ["model", "loaded by", "weights, GiB", "CPU s", "of the system", "peak RSS / weights"]


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_list("models", list(MODELS), "Which of the models to load.")
    flags.DEFINE_string("folder", None, "Where the weights are written; by default a new one.")
    flags.DEFINE_string("load", None, "Load a model of the folder by this loader alone.")


def write_clip(folder: Path) -> None:
    """Write a CLIP ViT-L/14 in Hugging Face's layout."""
    from common.clip import load_clip
    from common.clip.checkpoint import save_clip
    from common.clip.known import describe_clip

    clip = describe_clip("openai/clip-vit-large-patch14")
    tokenizer = load_clip("pocket").tokenizer
    save_clip(_with_weights(clip, tokenizer), folder)


def write_stable_diffusion(folder: Path) -> None:
    """Write a Stable Diffusion 1.5 in diffusers' layout."""
    from common.diffusion import load_stable_diffusion
    from common.diffusion.checkpoint import save_stable_diffusion
    from common.diffusion.known import describe_stable_diffusion

    sd = describe_stable_diffusion("stable-diffusion-v1-5/stable-diffusion-v1-5")
    tokenizer = load_stable_diffusion("pocket").tokenizer
    save_stable_diffusion(_with_weights(sd, tokenizer), folder)


def _with_weights(model: Any, tokenizer: Any) -> Any:
    from dataclasses import replace

    import jax

    noise = np.random.default_rng(0).normal(0, 0.02, 2**16).astype(np.float32)

    def rows(leaf: Any) -> np.ndarray:  # Without memory of their own.
        return np.broadcast_to(noise[: leaf.shape[-1]] if leaf.shape else noise[0], leaf.shape)

    params = jax.tree.map(rows, model.params)
    return replace(model, params=params, tokenizer=tokenizer)


def _ours_clip() -> Callable[[str], object]:
    from common.clip import load_clip

    return _placing(load_clip)


def _ours_diffusion() -> Callable[[str], object]:
    from common.diffusion import load_stable_diffusion

    return _placing(load_stable_diffusion)


def _placing(load: Callable[[str], Any]) -> Callable[[str], object]:
    import jax

    def placed(folder: str) -> object:
        return jax.block_until_ready(jax.device_put(load(folder).params))

    placed("pocket")  # What is imported and compiled once for all models.
    return placed


def _transformers() -> Callable[[str], object]:
    from transformers import CLIPModel

    return lambda folder: _read_once([CLIPModel.from_pretrained(folder)])


def _diffusers() -> Callable[[str], object]:
    from diffusers import StableDiffusionPipeline

    def load(folder: str) -> object:
        pipeline = StableDiffusionPipeline.from_pretrained(folder)
        return _read_once([pipeline.unet, pipeline.vae, pipeline.text_encoder])

    return load


def _read_once(modules: Sequence[Any]) -> object:
    return modules, [float(x.sum()) for module in modules for x in module.parameters()]


MODELS: dict[str, tuple[Callable[[Path], None], dict[str, Callable[[], Callable]]]] = {
    "ViT-L/14": (write_clip, {"this package": _ours_clip, "transformers": _transformers}),
    "SD1.5": (write_stable_diffusion, {"this package": _ours_diffusion, "diffusers": _diffusers}),
}


def measure(model: str, loader: str, folder: Path) -> dict[str, float]:
    """Load a model in this process, and return its CPU seconds and the growth of its peak."""
    load = MODELS[model][1][loader]()
    _hand_out(weight_bytes(folder))
    before, started = _memory("VmRSS"), os.times()
    loaded = load(str(folder))
    ended = os.times()
    peak = _memory("VmHWM")
    del loaded
    system = ended.system - started.system
    return {
        "seconds": ended.user - started.user + system,
        "system": system,
        "bytes": peak - before,
    }


def weight_bytes(folder: Path) -> int:
    """Return the size of a folder's weights."""
    return sum(file.stat().st_size for file in folder.rglob("*.safetensors"))


def _hand_out(size: int) -> None:
    """Have the host of a virtual machine hand out memory that is free for the loader then."""
    np.ones(size, np.uint8)
    Path("/proc/self/clear_refs").write_text("5")  # The peak begins anew.


def _memory(name: str) -> int:
    found = re.search(rf"{name}:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return 1024 * int(found[1])


def rows(model: str, folder: Path) -> Iterator[list[Any]]:
    """Yield the table's lines of one model."""
    write, loaders = MODELS[model]
    if not folder.exists():
        write(folder)
    size = weight_bytes(folder)
    for loader in loaders:
        if loader != "this package" and find_spec(loader) is None:
            continue
        command = [sys.executable, "-m", "benchmarks.load_time", f"--models={model}"]
        command += [f"--load={loader}", f"--folder={folder}"]
        output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        cost = json.loads(output.splitlines()[-1])
        seconds = [f"{cost[name]:.1f}" for name in ("seconds", "system")]
        yield [model, loader, f"{size / 2**30:.2f}", *seconds, f"{cost['bytes'] / size:.2f}"]


def main(argv: Sequence[str]) -> None:
    """Write the models, load them and print the table."""
    del argv
    options = flags.FLAGS
    if unknown := set(options.models) - set(MODELS):
        raise UserError(f"unknown models {', '.join(unknown)}; there are {', '.join(MODELS)}.")
    if options.load:
        print(json.dumps(measure(options.models[0], options.load, Path(options.folder))))
        return
    with tempfile.TemporaryDirectory() as temporary:
        base = Path(options.folder or temporary)
        lines = [
            row for model in options.models for row in rows(model, base / model.replace("/", "-"))
        ]
    print(markdown_table(HEADER, lines))


if __name__ == "__main__":
    run_command(main, define_flags)
