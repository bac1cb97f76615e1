"""What the paper claims of AAPE's parts, each marked shown or not shown.

    python -m benchmarks.aape_claims --data=pocket:rare,pocket:second [--preset=projection]

Its tables 4 and 5: AAPE is above CLIP and CuPL; a random sentence teaches less than the mean, the
mean less than an MLP, that less than attention; h alone lies between CuPL and AAPE with g; without
distillation AAPE is worse. A claim is shown where the harmonic mean of base and new accuracy
differs, seed by seed, by more than two standard errors on average; "the reverse" likewise.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from absl import flags

from aape_jax.core.class_features import TEMPLATE
from aape_jax.core.presets import DEFAULT, PRESETS, VARIANTS
from benchmarks.aape_forms import Accuracies, open_material, show, text_alone, train_form
from common.config import changed
from common.errors import run_command
from common.evaluation.tables import markdown_table

METHODS = {
    "without distillation": "no_distillation",
    "taught by a random sentence": "random_prompt",
    "taught by the mean": "mean_prompt",
    "taught by an MLP": "mlp_prompt",
    "taught by attention": "attention_prompt",
    "h alone": "aape_only",
    "h with g": "with_g",
}
"""What is trained beside AAPE, by the name of its variant."""

CLAIMS = (
    ("CLIP", "AAPE"),
    ("CuPL", "AAPE"),
    ("without distillation", "AAPE"),
    ("taught by a random sentence", "taught by the mean"),
    ("taught by the mean", "taught by an MLP"),
    ("taught by an MLP", "taught by attention"),
    ("CuPL", "h alone"),
    ("h alone", "h with g"),
)
"""What is said to be worse, and what better."""

ERRORS = 2
"""Standard errors that a difference must exceed."""


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_list("data", ["pocket:rare", "pocket:second"], "Data sets.")
    flags.DEFINE_enum("preset", DEFAULT, list(PRESETS), "The form of AAPE.")
    flags.DEFINE_integer("seeds", 5, "Seeds, from 0.", lower_bound=2)
    flags.DEFINE_string("base", "", "Fields of all runs, key=value,...")


def measure(data: str, base: str, seeds: int) -> dict[str, Accuracies]:
    """Return what each method comes to on a data set."""
    config, material = open_material(data, base)
    results = {
        "CLIP": text_alone(material, TEMPLATE),
        "CuPL": text_alone(material, "sentences"),
    }
    forms = {"AAPE": {}} | {name: VARIANTS[variant] for name, variant in METHODS.items()}
    for name, fields in forms.items():
        results[name] = train_form(changed(config, fields), material, None, seeds)
        print(data, name, show(results[name]), sep=" | ", flush=True)
    return results


def verdict(worse: Accuracies, better: Accuracies) -> str:
    """Return the difference in points with its standard error, and what it says."""
    difference = 100 * (_harmonic(better) - _harmonic(worse))
    mean, error = difference.mean(), difference.std(ddof=1) / np.sqrt(len(difference))
    side = int(np.sign(mean)) * (abs(mean) > ERRORS * error)
    word = {-1: "the reverse", 0: "not shown", 1: "shown"}[side]
    return f"{word} ({mean:+.1f} ± {error:.1f})"


def _harmonic(accuracies: Accuracies) -> np.ndarray:
    """Return the harmonic mean of each seed."""
    return len(accuracies) / sum(1 / np.maximum(values, 1e-9) for values in accuracies.values())


def tables(results: Mapping[str, Mapping[str, Accuracies]]) -> str:
    """Return the accuracies of all methods, then the claims, a column for each data set."""
    names = next(iter(results.values()))
    methods = [[name, *(show(found[name]) for found in results.values())] for name in names]
    claims = []
    for worse, better in CLAIMS:
        verdicts = [verdict(found[worse], found[better]) for found in results.values()]
        claims.append([f"{worse} < {better}", *verdicts])
    return "\n\n".join(
        [
            markdown_table(["base / new (H), %", *results], methods),
            markdown_table(["claim, difference of H", *results], claims),
        ]
    )


def main(argv: Sequence[str]) -> None:
    """Print each method as soon as it is measured, then the tables."""
    del argv
    options = flags.FLAGS
    base = ",".join(filter(None, (f"preset={options.preset}", options.base)))
    print(tables({data: measure(data, base, options.seeds) for data in options.data}))


if __name__ == "__main__":
    run_command(main, define_flags)
