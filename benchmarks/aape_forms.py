"""Forms of AAPE beside each other: base and new accuracy and their harmonic mean.

    python -m benchmarks.aape_forms --table=around --data=pocket:rare,pocket:second
    python -m benchmarks.aape_forms --table=g --data=pocket:rare --epochs=50 --rates=0.002,0.02
    python -m benchmarks.aape_forms --table=g --data=features:FILE.npz --epochs=10,50,200 \
--base=model=,prompts.source=features:FILE.npz,loss.distill=false

`benchmarks.aape_form_tables` says what each form of a table changes. Image features and text
features must come from one CLIP; photos are encoded by the pocket CLIP. Mean and standard
deviation over seeds, which run side by side in one program and learn from all photos: a seed is
another start and another order.
"""

import functools
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl import flags
from jaxtyping import PyTree
from ml_collections import ConfigDict

from aape_jax.classification.material import Material, gather
from aape_jax.classification.method import as_batch
from aape_jax.core.class_features import CLASS_FEATURES
from aape_jax.core.epochs import Epochs
from aape_jax.core.head import Head
from aape_jax.core.objective import Objective
from aape_jax.core.optimizer import make_optimizer
from benchmarks.aape_form_tables import TABLES
from common.config import changed
from common.errors import run_command
from common.evaluation.classification import accuracy, nearest_by_cosine
from common.evaluation.tables import markdown_table
from common.protocols.epochs import steps_per_epoch
from configs.aape import get_config

Accuracies = Mapping[str, np.ndarray]
"""By the test set's prefix, a number for each seed."""


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_list("data", None, "Data sets.")
    flags.DEFINE_enum("table", "around", list(TABLES), "Which forms.")
    flags.DEFINE_list("epochs", [], "Lengths of training; by default the form's updates.")
    flags.DEFINE_list("rates", [], "Learning rates; by default the form's.")
    flags.DEFINE_multi_string("form", [], "A form of the table, by its name; repeatable.")
    flags.DEFINE_integer("seeds", 3, "Seeds, from 0.", lower_bound=1)
    flags.DEFINE_string("base", "", "Fields of all runs, key=value,...")
    flags.mark_flags_as_required(["data"])


def open_material(data: str, base: str) -> tuple[ConfigDict, Material]:
    """Return the config of all forms on a data set, and its features."""
    config = get_config(",".join(filter(None, ("subsample=base,shots=0", f"data={data}", base))))
    return config, gather(config)


def train_form(
    config: ConfigDict, material: Material, epochs: int | None, seeds: int
) -> Accuracies:
    """Train heads, one for each seed, and return what they come to."""
    examples, classes = len(material.labels), len(material.learned)
    batch = min(config.batch, examples)
    an_epoch = steps_per_epoch(examples, batch)
    config = changed(config, {"updates": epochs * an_epoch if epochs else config.updates})
    objective, bank = Objective.from_config(config), material.bank.take(material.learned)
    kind = objective.head.classes
    frozen = {
        "x": material.x,
        "labels": material.labels,
        "classes": {kind: bank.features(kind)},
        "prompts": bank.prompts,
        "mask": bank.mask,
    }
    sources = [Epochs("", examples, 1, batch, seed) for seed in range(seeds)]
    rows = np.stack([[x.batch(step)["rows"] for step in range(config.updates)] for x in sources])
    optimizer = make_optimizer(config, an_epoch)

    @functools.partial(jax.vmap, in_axes=(0, 0, None))
    def run(key: jax.Array, rows: jax.Array, frozen: PyTree) -> PyTree:
        width = bank.classes.shape[-1]
        trainable = {"aape": objective.init(key, width, classes, examples)}

        def step(carry: PyTree, batch: tuple) -> tuple[PyTree, None]:
            (trainable, state), (rows, number) = carry, batch
            images, drawn = as_batch(frozen, rows, 0, kind), jax.random.fold_in(key, number)
            gradient = jax.grad(lambda tree: objective(tree["aape"], images, drawn)[0])(trainable)
            change, state = optimizer.update(gradient, state, trainable)
            return (optax.apply_updates(trainable, change), state), None

        start = (trainable, optimizer.init(trainable))
        (trainable, _), _ = jax.lax.scan(step, start, (rows, jnp.arange(len(rows))))
        return trainable["aape"]["head"]

    keys = jax.vmap(jax.random.key)(jnp.arange(seeds))
    heads = jax.jit(run)(keys, rows, jax.tree.map(jnp.asarray, frozen))
    accuracies, asking = {}, Head.from_config(config)
    for prefix, test in material.tests.items():
        x, w = jnp.asarray(test.x), jnp.asarray(test.features(kind))
        logits = jax.vmap(lambda head, x=x, w=w: asking.logits(head, x, w))(heads)
        accuracies[prefix] = np.mean(np.asarray(logits.argmax(axis=-1)) == test.labels, axis=1)
    return accuracies


def text_alone(material: Material, kind: str) -> Accuracies:
    """Return what class features come to without any training: CLIP's, CuPL's, or both."""
    accuracies = {}
    for prefix, test in material.tests.items():
        predicted = nearest_by_cosine(test.x, test.features(kind))
        accuracies[prefix] = np.array([accuracy(predicted, test.labels)])
    return accuracies


def harmonic(accuracies: Accuracies) -> float:
    """Return the harmonic mean of the mean accuracies."""
    means = [values.mean() for values in accuracies.values()]
    return len(means) / sum(1 / value for value in means) if all(means) else 0.0


def show(accuracies: Accuracies) -> str:
    """Return base / new with standard deviations and the harmonic mean, in percent."""
    both = " / ".join(
        f"{100 * values.mean():.1f} ± {100 * values.std(ddof=1):.1f}"
        if len(values) > 1
        else f"{100 * values[0]:.1f}"
        for values in accuracies.values()
    )
    return f"{both} ({100 * harmonic(accuracies):.1f})"


def main(argv: Sequence[str]) -> None:
    """Print each cell as soon as it is known, then the table."""
    del argv
    options, table = flags.FLAGS, TABLES[flags.FLAGS.table]
    lengths = [int(n) for n in options.epochs] or [None]
    rates = [{"learning_rate": float(rate)} for rate in options.rates] or [{}]
    rows: dict[str, list[str]] = {}
    header = []
    for data in options.data:
        config, material = open_material(data, options.base)
        settings = [(epochs, rate) for rate in rates for epochs in lengths]
        for epochs, rate in settings:
            told = [f"{epochs} epochs"] * bool(epochs) + [f"at {x:g}" for x in rate.values()]
            header.append(" ".join([data, *told]))
        cells = {
            f"text alone, {kind}": [show(text_alone(material, kind)), *[""] * (len(settings) - 1)]
            for kind in CLASS_FEATURES
        }
        for name in options.form or table:
            fields = table[name]
            cells[name] = [
                show(train_form(changed(config, fields | rate), material, epochs, options.seeds))
                for epochs, rate in settings
            ]
            print(data, name, *cells[name], sep=" | ", flush=True)
        for name, shown in cells.items():
            rows.setdefault(name, []).extend(shown)
    print(markdown_table(["base / new (H), %", *header], [[name, *x] for name, x in rows.items()]))


if __name__ == "__main__":
    run_command(main, define_flags)
