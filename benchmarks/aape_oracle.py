"""What g makes of the AAPE: a finished classification run with other prompts in h(x)'s place.

    python -m benchmarks.aape_oracle --workdir=DIR

`own` is h(x). `none` is a prompt of zeros. `mean` is the mean of h(x) over all test photos, which
tells nothing of the photo. `stranger` is h of another photo. `oracle` is the mean of the sentences
about the photo's true class, which h is taught to give.
"""

from collections.abc import Sequence
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from absl import flags

from aape_jax.classification.material import gather
from aape_jax.classification.testsets import TestSet
from aape_jax.core.head import Head
from aape_jax.core.heads_file import head_file, read_head
from aape_jax.core.logits import cosines
from aape_jax.core.presets import ALWAYS, variants
from common.config import read_config
from common.errors import UserError, run_command
from common.evaluation.classification import accuracy
from common.evaluation.tables import markdown_table
from configs.aape import defaults

PROMPTS = ("own", "none", "mean", "stranger", "oracle")


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("workdir", None, "Folder of a finished run.")
    flags.mark_flags_as_required(["workdir"])


def with_prompts(head: Head, params: dict, test: TestSet) -> dict[str, float]:
    """Return the accuracy on a test set by what stands in h(x)'s place."""
    x, w = jnp.asarray(test.x), jnp.asarray(test.features(head.classes))
    h = head.generator(params["generator"], x)
    order = np.random.default_rng(0).permutation(len(x))
    prompts = {
        "own": h,
        "none": jnp.zeros_like(h),
        "mean": jnp.broadcast_to(h.mean(axis=0), h.shape),
        "stranger": h[order],
        "oracle": jnp.asarray(test.means[test.labels]),
    }
    accuracies = {}
    for name in PROMPTS:
        scores = cosines(head.projection, params["projection"], w, x, prompts[name])
        accuracies[name] = accuracy(np.asarray(scores.argmax(axis=1)), test.labels)
    return accuracies


def main(argv: Sequence[str]) -> None:
    """Print a row for each variant with a projection and each of its test sets."""
    del argv
    workdir = Path(flags.FLAGS.workdir)
    config = read_config(workdir, defaults())
    tests = {
        prefix: test for prefix, test in gather(config).tests.items() if test.means is not None
    }
    if not tests:
        raise UserError(f"{workdir} has no test set whose classes all have sentences: no oracle.")
    rows = []
    for name, variant in variants(config, always=ALWAYS).items():
        head = Head.from_config(variant)
        if head.mode == "template_and_aape":
            params = read_head(head_file(workdir, name))
            for prefix, test in tests.items():
                accuracies = with_prompts(head, params, test)
                cells = [f"{100 * value:.1f}" for value in accuracies.values()]
                rows.append([name, prefix.rstrip("/") or "all", *cells])
    if not rows:
        raise UserError(f"{workdir} has no variant with a projection: nothing to exchange.")
    print(markdown_table(["variant", "classes", *PROMPTS], rows))


if __name__ == "__main__":
    run_command(main, define_flags)
