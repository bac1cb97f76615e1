"""Measures the prompts of a finished run.

    python -m protext_jax.evaluate --workdir=DIR [--data=DATASET] [--run=N]

Without `--data`: on the run's own test sets. With it: on any other data set, whatever its classes.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from common.clip import load_clip
from common.config import read_config
from common.data.clip_features import text_features
from common.errors import run_command
from common.evaluation.classification import normalise
from common.evaluation.tables import print_table
from common.files import atomic_write
from common.training import say
from protext_jax.classnames import remark
from protext_jax.evaluation import Measured, baseline_scores, measure
from protext_jax.export import prompts_file
from protext_jax.files import read_prompts
from protext_jax.plan import DTYPES
from protext_jax.signals import Sentences
from protext_jax.testsets import make_test_sets, own_set
from protext_jax.texts import gather_texts


def define_flags() -> None:
    """The command's options."""
    flags.DEFINE_string("workdir", None, "Folder of a finished training run.", required=True)
    flags.DEFINE_string("data", None, "Data set to measure on; the run's own by default.")
    flags.DEFINE_integer("run", None, "Of a sweep: which of its runs.", lower_bound=0)


def main(argv: Sequence[str]) -> None:
    """Evaluates and writes `DIR/eval/NAME.json`."""
    del argv
    options = flags.FLAGS
    workdir = Path(options.workdir).expanduser()
    config = read_config(workdir)
    learned = read_prompts(prompts_file(workdir, options.run))
    clip = load_clip(config.model, DTYPES[config.dtype])
    learned.require_model(clip)
    texts = gather_texts(config, clip.tokenizer)
    cache = Path(config.cache).expanduser()
    targets = normalise(text_features(clip, texts.sentences, cache))
    held_out = targets[:0]
    if texts.held_out:
        held_out = normalise(text_features(clip, texts.held_out, cache))
    sets = own_set(config, options.data) if options.data else make_test_sets(config, texts)
    specs = [options.data] if options.data else [config.data, *config.targets]
    sentences = Sentences(targets, texts.label, held_out, texts.held_label)
    measured = Measured(config, clip, texts, sentences, sets)
    metrics, _ = measure(measured, learned)
    result = {
        "method": "protext",
        "dataset": options.data or config.data,
        "model": config.model,
        "seed": int(learned.metadata["seed"]),
        "metrics": metrics,
        "baselines": baseline_scores(measured, learned),
        "details": {"remarks": [line for line in map(remark, specs) if line]},
    }
    print_table(result)
    stem = result["dataset"].replace(":", "-").replace("/", "-").strip("-.")
    out = workdir / "eval" / f"{stem}.json"
    with atomic_write(out) as path:
        path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    say(f"wrote {out}")


if __name__ == "__main__":
    run_command(main, define_flags)
