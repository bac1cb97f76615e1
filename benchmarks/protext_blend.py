"""How much of a class's feature ProText's prompts should make, on other data sets as well.

    python -m benchmarks.protext_blend --out=FOLDER [--form=FIELDS ...] [--blend=1,0.5] [--seeds=3]

Every number comes from `protext_jax.train`, with a folder for each form and seed below `--out`.
Another blend of a finished run trains nothing, it is measured alone. A form is a list of fields
such as `loss=contrastive`; the blend -1 is left to held-out sentences.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from absl import flags

from common.errors import run_command
from common.evaluation.summaries import summarise
from common.evaluation.tables import markdown_table, result_rows
from common.files import write_json
from common.names import file_stem
from common.training import train
from common.training.method import find_method
from configs.protext import get_config

FORMS = (
    "loss=l2",
    "held_out_classes=3",
    "epochs=30",
    "loss=contrastive",
    "prompts.kind=attributes",
)
BLENDS = ("1", "0.75", "0.5", "0.25", "0", "-1")
METRICS = {
    "base/accuracy": "base",
    "new/accuracy": "new",
    "second/accuracy": "second",
    "rare_sketch/accuracy": "rare sketch",
    "average/accuracy": "average of both",
}
NAMES = {"1": "1 (the paper)", "0": "0 (CLIP)", "-1": "by text"}

Rows = Mapping[str, Mapping[str, float | None]]


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("out", None, "Folder of the runs and of `blend.json`.", required=True)
    flags.DEFINE_string("model", "pocket", "CLIP.")
    flags.DEFINE_multi_string("form", list(FORMS), "Fields of a training; repeatable.")
    flags.DEFINE_list("blend", list(BLENDS), "Shares of the prompts.")
    flags.DEFINE_integer("seeds", 3, "Seeds, from 0.", lower_bound=1)


def measured(folder: Path, model: str, form: str, blend: str, seed: int) -> dict[str, float]:
    """Return what one run comes to with a blend; it is trained if its folder is empty."""
    config = get_config(f"model={model},seed={seed},baselines=(),progress=false,{form}")
    config.blend = float(blend)
    run = train(find_method(config), folder / f"seed{seed}")
    rows: Rows = result_rows(run)
    return {name: rows["protext"][name] for name in METRICS}


def table(results: Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]]) -> str:
    """Return a row for each form and blend: mean and standard deviation over the seeds."""
    cells = [
        [
            f"`{form}`",
            NAMES.get(blend, blend),
            *(summarise(run[metric] for run in runs).show(share=True) for metric in METRICS),
        ]
        for form, blends in results.items()
        for blend, runs in blends.items()
    ]
    return markdown_table(["form", "blend", *(f"{x} (%)" for x in METRICS.values())], cells)


def main(argv: Sequence[str]) -> None:
    """Print the table and write `blend.json`."""
    del argv
    options, out = flags.FLAGS, Path(flags.FLAGS.out)
    results = {
        form: {
            blend: [
                measured(out / file_stem(form), options.model, form, blend, seed)
                for seed in range(options.seeds)
            ]
            for blend in options.blend
        }
        for form in options.form
    }
    write_json(out / "blend.json", {"model": options.model, "forms": results})
    print(f"\n{table(results)}", flush=True)


if __name__ == "__main__":
    run_command(main, define_flags)
