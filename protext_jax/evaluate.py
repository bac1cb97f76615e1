"""Measures the prompts of a finished run.

    python -m protext_jax.evaluate --workdir=DIR [--data=DATASET] [--run=N] [--cache=FOLDER]

Without `--data`: on the run's own test sets. With it: on any other data set, whatever its classes.

For example:

    python -m protext_jax.evaluate --workdir=runs/protext --data=pocket:second
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from common.clip import load_clip
from common.errors import run_command
from common.evaluation.tables import print_table
from common.paths import as_path
from common.precision import frozen_dtype, use_precision
from common.training import say
from common.training.results import write_evaluation
from common.training.workdir import evaluation_file
from protext_jax.classnames import remark
from protext_jax.evaluation import EvaluationInputs, baseline_scores, measure
from protext_jax.files import read_run_prompts
from protext_jax.signals import encode_sentences
from protext_jax.testsets import make_test_sets, own_set
from protext_jax.training_texts import gather_texts


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("workdir", None, "Folder of a finished training run.", required=True)
    flags.DEFINE_string("data", None, "Data set to measure on; the run's own by default.")
    flags.DEFINE_string("cache", "", "Folder of encoded photos and texts.")
    flags.DEFINE_integer("run", None, "Of a sweep: which of its runs.", lower_bound=0)


def main(argv: Sequence[str]) -> None:
    """Evaluate and write `DIR/eval/NAME.json`, of a run of a sweep `NAME~runN.json`."""
    del argv
    options = flags.FLAGS
    workdir = as_path(options.workdir)
    config, learned = read_run_prompts(workdir, options.run, options.cache)
    part = "" if options.run is None else f"run{options.run}"
    out = evaluation_file(workdir, options.data or config.data, part)
    use_precision(config.dtype)
    clip = load_clip(config.model, frozen_dtype(config.dtype))
    learned.require_model(clip)
    texts = gather_texts(config, clip.tokenizer)
    sets = own_set(config, options.data) if options.data else make_test_sets(config, texts)
    specs = [options.data] if options.data else [config.data, *config.targets]
    sentences = encode_sentences(clip, texts, Path(config.cache).expanduser())
    measured = EvaluationInputs(config, clip, texts, sentences, sets)
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
    write_evaluation(out, result)
    say(f"wrote {out}")


if __name__ == "__main__":
    run_command(main, define_flags)
