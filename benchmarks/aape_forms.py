"""Which form of g keeps unseen classes: base and new accuracy after a number of epochs.

    python -m benchmarks.aape_forms --data=features:FILE.npz --source=features:FILE.npz
    python -m benchmarks.aape_forms --data=pocket:second --distill --rates=0.002,0.02

Image features and text features must come from one CLIP. Cross-entropy only unless
`--distill`; mean and standard deviation over seeds, which run side by side in one program.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl import flags
from jaxtyping import PyTree
from ml_collections import ConfigDict

from aape_jax.classification.evaluation import text_rows
from aape_jax.classification.material import Material, gather
from aape_jax.classification.method import as_batch
from aape_jax.classification.serving import predict
from aape_jax.core.objective import Objective
from aape_jax.core.optimizer import make_optimizer
from aape_jax.task import Epochs
from common.config import changed
from common.errors import run_command
from common.evaluation.tables import markdown_table
from common.protocols.epochs import steps_per_epoch
from configs.aape import get_config

LITERAL = {"projection.residual_alpha": 1.0, "projection.zero_init": False}
RELU_FC = {"projection.kind": "fc", "projection.out_relu": True}
FORMS: dict[str, dict[str, Any]] = {
    "bottleneck, random start, no residual": LITERAL,
    "one FC + output ReLU, random start": LITERAL | RELU_FC,
    "one FC + output ReLU, identity start on w": LITERAL
    | RELU_FC
    | {"projection.identity_init": True},
    "0.8 w + 0.2 bottleneck, zero-init": {},
    "0.8 w + 0.2 bottleneck, random start": {"projection.zero_init": False},
    "0.8 w + 0.2 FC-ReLU": RELU_FC | {"projection.zero_init": False},
    "w + bottleneck, zero-init": {
        "projection.residual_alpha": 1.0,
        "projection.residual": "add",
    },
}


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("data", None, "Data set; photos are encoded by the pocket CLIP.")
    flags.DEFINE_string("source", "pocket", "Prompts: pocket, or features:FILE.npz.")
    flags.DEFINE_list("epochs", ["10", "50", "200"], "Lengths of training.")
    flags.DEFINE_list("rates", ["0.002"], "Learning rates.")
    flags.DEFINE_multi_string("form", list(FORMS), "A form of g, by the table's words; repeatable.")
    flags.DEFINE_integer("seeds", 3, "Seeds, from 0.")
    flags.DEFINE_bool("distill", False, "Whether to distil from the aggregator, lambda 5.")
    flags.mark_flags_as_required(["data"])


def train_form(
    config: ConfigDict, material: Material, epochs: int, seeds: int
) -> dict[str, np.ndarray]:
    """Return the accuracy by the test set's prefix, one number per seed."""
    examples, classes = len(material.labels), len(material.learned)
    an_epoch = steps_per_epoch(examples, config.batch)
    config = changed(config, {"updates": epochs * an_epoch})
    objective, bank = Objective.from_config(config), material.bank.take(material.learned)
    kind = objective.head.classes
    frozen = {
        "x": material.x,
        "labels": material.labels,
        "classes": {kind: bank.features(kind)},
        "prompts": bank.prompts,
        "mask": bank.mask,
    }
    rows = np.stack(
        [
            [
                Epochs("", examples, 1, config.batch, seed).batch(step)["rows"]
                for step in range(config.updates)
            ]
            for seed in range(seeds)
        ]
    )
    optimizer = make_optimizer(config, an_epoch)

    @functools.partial(jax.vmap, in_axes=(0, 0, None))
    def run(key: jax.Array, rows: jax.Array, frozen: PyTree) -> PyTree:
        width = bank.classes.shape[-1]
        trainable = {"aape": objective.init(key, width, classes, examples)}

        def step(carry: PyTree, batch: jax.Array) -> tuple[PyTree, None]:
            trainable, state = carry
            gradient = jax.grad(
                lambda tree: objective(tree["aape"], as_batch(frozen, batch, 0, kind), key)[0]
            )(trainable)
            change, state = optimizer.update(gradient, state, trainable)
            return (optax.apply_updates(trainable, change), state), None

        (trainable, _), _ = jax.lax.scan(step, (trainable, optimizer.init(trainable)), rows)
        return trainable["aape"]["head"]

    keys = jax.vmap(jax.random.key)(jnp.arange(seeds))
    heads = jax.jit(run)(keys, rows, jax.tree.map(jnp.asarray, frozen))
    accuracies = {}
    for suffix, test in material.tests.items():
        x, w = jnp.asarray(test.x), jnp.asarray(test.features(kind))
        answer = jax.vmap(lambda head, x=x, w=w: predict(head, x, w, objective.head))
        accuracies[suffix] = np.mean(np.asarray(answer(heads)) == test.labels, axis=1)
    return accuracies


def show(accuracies: Mapping[str, np.ndarray]) -> str:
    """Return base / new with standard deviations, in percent."""
    return " / ".join(
        f"{100 * values.mean():.1f} ± {100 * values.std(ddof=1):.1f}"
        if len(values) > 1
        else f"{100 * values[0]:.1f}"
        for values in accuracies.values()
    )


def main(argv: Sequence[str]) -> None:
    """Print a row for each form, as soon as it is known."""
    del argv
    options = flags.FLAGS
    features = options.data.startswith("features:")
    config = get_config("subsample=base")
    config.update_from_flattened_dict(
        {
            "model": "" if features else "pocket",
            "data": options.data,
            "prompts.source": options.source,
            "shots": 0,
            "loss.distill": options.distill,
        }
    )
    if not options.distill:
        config.aggregator.kind = "mean"  # It teaches nobody; the cheapest form will do.
    material = gather(config)
    for name, row in text_rows(material.tests).items():
        print(f"{name}: {' / '.join(f'{100 * value:.1f}' for value in row.values())}", flush=True)
    settings = [(int(n), float(rate)) for rate in options.rates for n in options.epochs]
    rows = []
    for name in options.form:
        results = [
            train_form(
                changed(config, FORMS[name] | {"learning_rate": rate}), material, n, options.seeds
            )
            for n, rate in settings
        ]
        rows.append([name, *map(show, results)])
        print(*rows[-1], sep=" | ", flush=True)
    header = [f"{n} epochs at {rate:g}, base / new" for n, rate in settings]
    print(markdown_table(["g", *header], rows))


if __name__ == "__main__":
    run_command(main, define_flags)
