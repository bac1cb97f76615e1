"""AAPE's captions and answers of a frozen language model, over seeds.

    python -m benchmarks.aape_captioning --out=FOLDER [--seeds=3] [--base=key=value,...]

Each seed is a run of `aape_jax.train` with configs/aape_captioning.py in its own folder, and one of
`aape_jax.evaluate --data=pocket:questions` on it. What is finished there is not repeated. One of
the tables says how many greedy captions name what people's captions of the same picture name.
"""

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from absl import flags

from aape_jax.datasets.caption_set import open_caption_set
from common.errors import run_command
from common.evaluation.summaries import summarise
from common.evaluation.tables import Value, heading, is_share, markdown_table, result_rows
from common.files import read_json
from common.pocket.phrases import plural
from common.pocket.world import BACKGROUNDS, COLOURS, SHAPES
from configs.aape_captioning import get_config

CONFIG = "configs/aape_captioning.py"
QUESTIONS = "pocket:questions"
CAPTIONS = {
    "greedy": ("cider_d", "bleu_4", "rouge_l", "clip_score", "nats_per_token"),
    "beam of 5": tuple(f"beam_5/{name}" for name in ("cider_d", "bleu_4", "rouge_l", "clip_score")),
}
LOOKS = {
    "outline_accuracy": SHAPES,
    "ground_accuracy": BACKGROUNDS,
    "both_colours_accuracy": COLOURS,
}
"""What captions of the pocket world may be right about: the words of each."""
ANSWERS = tuple(f"{shots}_shot/accuracy" for shots in (0, 1, 2, 4))

Runs = Sequence[dict[str, dict[str, float | None]]]
"""The rows of each seed."""


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("out", None, "Folder of the runs.")
    flags.DEFINE_integer("seeds", 3, "Seeds, from 0.", lower_bound=1)
    flags.DEFINE_string("base", "", "Fields of all runs, key=value,...")
    flags.mark_flags_as_required(["out"])


def run(folder: Path, seed: int, base: str) -> tuple[Path, Path]:
    """Return the files of a seed's result and answers, made if they are missing."""
    result, answers = folder / "result.json", folder / "eval" / "pocket-questions.json"
    fields = ",".join(filter(None, (f"seed={seed}", base)))
    if not result.exists():
        _command("train", f"--config={CONFIG}:{fields}", f"--workdir={folder}")
    if not answers.exists():
        _command("evaluate", f"--workdir={folder}", f"--data={QUESTIONS}")
    return result, answers


def _command(name: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", f"aape_jax.{name}", *arguments], check=True)


def table(corner: str, runs: Runs, metrics: Sequence[str]) -> str:
    """Return means and standard deviations, a row for each variant that has any of the metrics."""
    rows = []
    for row in runs[0]:
        if any(metric in runs[0][row] for metric in metrics):
            values = [summarise(run[row].get(metric) for run in runs) for metric in metrics]
            rows.append([row, *map(_shown, metrics, values)])
    return markdown_table([corner, *map(heading, metrics)], rows)


def _shown(metric: str, value: Value) -> str:
    return value.show(is_share(metric))


def rightly_named(
    captions: Mapping[str, Mapping[str, Mapping[str, str]]], people: Sequence[Sequence[str]]
) -> dict[str, dict[str, float | None]]:
    """Return the share of greedy captions that are right about each of `LOOKS`, for each row.

    Args:
      captions: By picture, row and way of decoding, as in `captions.json`.
      people: Captions of the same pictures.
    """
    shares = {row: dict.fromkeys(LOOKS, 0.0) for row in next(iter(captions.values()))}
    for rows, said in zip(captions.values(), people, strict=True):
        for row, decoded in rows.items():
            for look, words in LOOKS.items():
                right = _named(decoded["greedy"], words) == _named(" ".join(said), words)
                shares[row][look] += right / len(captions)
    return shares


def _named(text: str, words: Sequence[str]) -> set[str]:
    """Return which of the words stand in a text, alone, within others or in the plural."""
    known = {plural(word): word for word in words} | {word: word for word in words}
    return {known[word] for word in re.findall("[a-z]+", text) if word in known}


def main(argv: Sequence[str]) -> None:
    """Train and evaluate what is missing and print the tables."""
    del argv
    out, seeds = Path(flags.FLAGS.out), range(flags.FLAGS.seeds)
    files = [run(out / f"seed{seed}", seed, flags.FLAGS.base) for seed in seeds]
    captions, answers = (
        [result_rows(read_json(file)) for file in files_of_kind]
        for files_of_kind in zip(*files, strict=True)
    )
    for name, metrics in CAPTIONS.items():
        print(f"\n{table(name, captions, metrics)}")
    people = open_caption_set(get_config(flags.FLAGS.base).data)["test"].captions
    written = [read_json(result.with_name("captions.json")) for result, _ in files]
    looks = [rightly_named(each, people) for each in written]
    print(f"\n{table('named rightly', looks, tuple(LOOKS))}")
    print(f"\n{table('answers', answers, ANSWERS)}")


if __name__ == "__main__":
    run_command(main, define_flags)
