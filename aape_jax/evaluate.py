"""Measures a finished run.

    python -m aape_jax.evaluate --workdir=DIR [--data=DATASET]

Without `--data`: on the run's own test photos. With it: on all classes of another data set, in
another style or of other things, which needs no prompts and no training.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from aape_jax.evaluation import head_row, text_rows
from aape_jax.head import Head
from aape_jax.heads_file import read_head
from aape_jax.material import gather
from aape_jax.presets import changed, variants
from common.config import read_config
from common.errors import run_command
from common.evaluation.tables import print_table
from common.files import atomic_write
from common.training import say


def define_flags() -> None:
    """The command's options."""
    flags.DEFINE_string("workdir", None, "Folder of a finished training run.")
    flags.DEFINE_string("data", None, "Data set to measure on; the run's own by default.")
    flags.mark_flags_as_required(["workdir"])


def main(argv: Sequence[str]) -> None:
    """Evaluates and writes `DIR/eval/NAME.json`."""
    del argv
    workdir = Path(flags.FLAGS.workdir)
    config = read_config(workdir)
    heads = {
        name: (Head.from_config(own), read_head(workdir / "heads" / f"{name}.safetensors"))
        for name, own in variants(config).items()
    }
    if other := flags.FLAGS.data:
        # CuPL is left out with the prompts: "none" makes the class's template its only prompt.
        corpus = config.prompts.corpus if config.prompts.corpus.startswith("features:") else "none"
        config = changed(
            config, {"data": other, "subsample": "all", "prompts.corpus": corpus, "views": 1}
        )
    material = gather(config)
    own, *others = rows = {
        name: head_row(head, params, material) for name, (head, params) in heads.items()
    }
    texts = text_rows(material)
    result = {
        "method": own,
        "dataset": config.data,
        "model": config.model,
        "seed": config.seed,
        "metrics": rows[own],
        "baselines": {"clip": texts["clip"], **{name: rows[name] for name in others}},
    }
    if not other:
        result["baselines"]["cupl"] = texts["cupl"]
    print_table(result)
    stem = config.data.replace(":", "-").replace("/", "-").strip("-.")
    out = workdir / "eval" / f"{stem}.json"
    with atomic_write(out) as path:
        path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    say(f"wrote {out}")


if __name__ == "__main__":
    run_command(main, define_flags)
