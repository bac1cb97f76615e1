"""Measures the tokens of a finished run.

    python -m mcti_jax.evaluate --workdir=DIR [--data=DATASET] [--cache=FOLDER]

Without `--data`: on the run's own test photos. With it: on the test photos of another data set
with the same classes, for instance in another style. The token files say which class a token
belongs to (`class`, `class_index`); their names and order do not matter.

For example:

    python -m mcti_jax.evaluate --workdir=runs/mine --data=folder:other_photos
"""

from collections.abc import Sequence

import numpy as np
from absl import flags

from common.config import read_config
from common.errors import UserError, run_command
from common.evaluation.figures import write_png
from common.evaluation.tables import print_table
from common.paths import as_path
from common.precision import use_precision
from common.training import say
from common.training.results import write_evaluation
from common.training.workdir import evaluation_file
from configs.mcti import defaults
from mcti_jax.assembly import check_options, initial_vectors
from mcti_jax.drift import drift_table
from mcti_jax.evaluation import evaluate
from mcti_jax.formats import in_class_order, require_usable
from mcti_jax.legend import legend
from mcti_jax.material import gather
from mcti_jax.options import check_values
from mcti_jax.saving import read_run_tokens


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("workdir", None, "Folder of a finished training run.")
    flags.DEFINE_string("data", None, "Data set to measure on; the run's own by default.")
    flags.DEFINE_string("cache", "", "Folder of encoded photos and texts.")
    flags.mark_flags_as_required(["workdir"])


def main(argv: Sequence[str]) -> None:
    """Evaluate and write `DIR/eval/NAME.json` with its pictures beside it."""
    del argv
    workdir = as_path(flags.FLAGS.workdir)
    config = read_config(workdir, defaults(), cache=flags.FLAGS.cache)
    use_precision(config.dtype)
    config.data = flags.FLAGS.data or config.data
    out = evaluation_file(workdir, config.data)
    learned = read_run_tokens(workdir)
    check_values(config)
    material = gather(config)
    if flags.FLAGS.data and not len(material.test):
        raise UserError(
            f"--data={config.data} has no test photos: put them into PATH/test/class/ beside "
            "PATH/train/class/."
        )
    sd = material.sd
    require_usable(learned, sd.text_tower.config.width, config.model)
    tokens = in_class_order(learned, material.classnames)
    if tokens.shape[1] != config.vectors:
        raise UserError(
            f"the tokens in {workdir} have {tokens.shape[1]} vectors each and its config.json says "
            f"vectors={config.vectors}: put the files of one run together."
        )
    check_options(config, sd)
    table = np.asarray(sd.params["text"]["token_embedding"])
    start = initial_vectors(config, sd.tokenizer, table)
    evaluation = evaluate(config, material, {"mcti": tokens}, start)
    result = {
        "method": "mcti",
        "dataset": config.data,
        "model": config.model,
        "seed": config.seed,
        "metrics": dict(evaluation.metrics),
        "baselines": dict(evaluation.baselines),
        "details": dict(evaluation.details),
    }
    print_table(result)
    say(drift_table(evaluation.details["tokens"]))
    say(f"\n{legend(result)}\n")
    write_evaluation(out, result)
    for name, picture in evaluation.pictures.items():
        write_png(out.with_name(f"{out.stem}-{name}.png"), picture)
    say(f"wrote {out}")


if __name__ == "__main__":
    run_command(main, define_flags)
