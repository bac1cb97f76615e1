"""Seconds and memory of whole trainings on the paper's sentences, at the size of ViT-B/16.

    python -m benchmarks.protext_training --texts=FOLDER --vocabulary=FILE [--case=dtd,eurosat]
        [--epochs=N] [--out=FOLDER]

The weights are random, so accuracies would mean nothing and none is measured; texts, vocabulary,
lengths, steps and the loop are the real ones. Each training is `protext_jax.train` on a JSON file
in a process of its own.
"""

import gzip
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
from absl import flags

from benchmarks.machine import describe_machine
from benchmarks.protext_problem import CASES
from common.choices import check_choice
from common.clip import CLIP, CLIPConfig, Preprocess, Tokenizer, ViTConfig, save_clip
from common.clip.checkpoint import abstract_params
from common.clip.known import KNOWN
from common.data.coop_sets import MODEL
from common.errors import UserError, run_command
from common.evaluation.tables import markdown_table
from protext_jax.recipes import ALL_CLASSES
from tools.pocket.vocabulary import byte_characters

TEXT = KNOWN[MODEL].text
STEPS_OF_A_LINE = 10
CURVE = (0, 0.1, 0.25, 0.5, 1)  # of the training, where its loss is shown
# The image tower is not run here, so a small one is written.
VISION = ViTConfig(32, 16, 64, 1, 1, 64, projection=512)


def define_flags() -> None:
    """Define the command's options."""
    data = "../shared/data"
    flags.DEFINE_string("texts", f"{data}/llm_prompts", "Folder of ProText's json.gz files.")
    flags.DEFINE_string(
        "vocabulary", f"{data}/clip_vocab/bpe_simple_vocab_16e6.txt.gz", "CLIP's merges."
    )
    flags.DEFINE_list("case", ["eurosat", "dtd"], "Data sets, with the reference's settings.")
    flags.DEFINE_integer("epochs", 0, "Instead of the reference's; 0 for those.", lower_bound=0)
    flags.DEFINE_string("out", None, "Keeps the runs, with their loss curves, in this folder.")


def write_model(directory: Path, vocabulary: Path) -> None:
    """Write a CLIP with the real vocabulary and random weights of usual size."""
    write_vocabulary(directory, vocabulary)
    rng = np.random.default_rng(0)
    config = CLIPConfig(TEXT, VISION)

    def leaf(path: tuple, shape: jax.ShapeDtypeStruct) -> np.ndarray:
        noise = rng.standard_normal(shape.shape, np.float32)
        name = getattr(path[-1], "key", "")
        if name in ("scale", "bias"):
            return np.full(shape.shape, name == "scale", np.float32)
        if name == "kernel":
            return noise / np.sqrt(np.prod(shape.shape[:-1])).astype(np.float32)
        return noise * np.float32(0.02)

    params = jax.tree_util.tree_map_with_path(leaf, abstract_params(config))
    tokenizer = Tokenizer.from_directory(directory)
    save_clip(CLIP(config, params, tokenizer, Preprocess(32), ""), directory)


def write_vocabulary(directory: Path, file: Path) -> None:
    """Write CLIP's own merges in the two files that transformers reads.

    Raises:
      UserError: There is no such file.
    """
    if not file.is_file():
        raise UserError(f"there is no {file}: give --vocabulary=bpe_simple_vocab_16e6.txt.gz.")
    merges = gzip.decompress(file.read_bytes()).decode().split("\n")[1 : 49152 - 256 - 2 + 1]
    symbols = byte_characters()
    words = [*symbols, *(f"{symbol}</w>" for symbol in symbols)]
    words += ["".join(merge.split()) for merge in merges] + ["<|startoftext|>", "<|endoftext|>"]
    directory.mkdir(parents=True, exist_ok=True)
    vocabulary = {word: number for number, word in enumerate(words)}
    (directory / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    text = "\n".join(["#version: 0.2", *merges, ""])
    (directory / "merges.txt").write_text(text, encoding="utf-8")


def measure(case: str, model: Path, workdir: Path, options: flags.FlagValues) -> list[str]:
    """Measure one training; return a row of the table.

    Raises:
      RuntimeError: The training failed.
    """
    epochs, length, rate = ALL_CLASSES[case]
    fields = {
        "model": model,
        "prompts.source": Path(options.texts) / f"{CASES[case].file}.json.gz",
        "epochs": options.epochs or epochs,
        "length": length,
        "learning_rate": rate,
        "depth": 9,
        "held_out": 0,
        "log_every": STEPS_OF_A_LINE,
        "cache": workdir / "cache",
        "compile_cache": "",
    }
    arg = ",".join(f"{name}={value}" for name, value in fields.items())
    command = [sys.executable, "-m", "protext_jax.train", f"--config=configs/protext.py:{arg}"]
    before = time.perf_counter()
    done = subprocess.run([*command, f"--workdir={workdir}"], capture_output=True, text=True)
    wall = time.perf_counter() - before
    if done.returncode:
        raise RuntimeError(f"the training on {case} failed:\n{done.stdout}{done.stderr}")
    result = json.loads((workdir / "result.json").read_text())
    lines = [json.loads(x) for x in (workdir / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    curve = [losses[round(part * (len(losses) - 1))] for part in CURVE]
    # The largest of all children so far, in KiB on Linux.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    return [
        *(case, str(fields["epochs"]), str(result["updates"]), f"{wall:.0f}"),
        *(f"{loss:.3f}" for loss in curve),
        f"{peak:.2f}",
    ]


def main(argv: Sequence[str]) -> None:
    """Print a table with a row per training."""
    del argv
    options = flags.FLAGS
    for name in options.case:
        check_choice("--case", name, CASES)
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(options.out or temporary).expanduser()
        model = out / "model"
        write_model(model, Path(options.vocabulary).expanduser())
        rows = [measure(case, model, out / case, options) for case in options.case]
    losses = [f"loss at {part:.0%}" for part in CURVE]
    header = ["data set", "epochs", "steps", "seconds", *losses, "peak GiB so far"]
    print(markdown_table(header, rows))
    print(
        "\nFrom the command's start to its end: loading, encoding all sentences, compiling, "
        f"training. The losses are means over {STEPS_OF_A_LINE} steps. "
        f"{describe_machine('jax', 'flax')}"
    )


if __name__ == "__main__":
    run_command(main, define_flags)
