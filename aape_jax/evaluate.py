"""Measures a finished run.

    python -m aape_jax.evaluate --workdir=DIR [--data=DATASET] [--cache=FOLDER]

Without `--data`: on the run's own test photos. With it: on another data set, in another style or
of other things; a classifier then gets all class names, and needs neither sentences nor
training. A captioning run also answers questions, e.g. `--data=pocket:questions`.

For example:

    python -m aape_jax.evaluate --workdir=runs/aape --data=pocket:rare_sketch
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from absl import flags
from ml_collections import ConfigDict

from aape_jax.captioning.method import Captioning
from aape_jax.captioning.report import show_rows
from aape_jax.classification.evaluation import head_row, text_rows
from aape_jax.classification.inputs import open_inputs, require_one_width, text_width
from aape_jax.classification.material import encode_all
from aape_jax.classification.testsets import TestSet, encode_target, open_target
from aape_jax.core.head import Head
from aape_jax.core.heads_file import read_head, require_fit
from aape_jax.core.presets import ALWAYS, changed, variants
from aape_jax.datasets.questions import is_question_set, read_questions
from aape_jax.retrieval.method import Retrieval
from aape_jax.vqa.method import VQA
from common.clip import load_clip
from common.config import read_config
from common.errors import UserError, run_command
from common.evaluation.figures import write_png
from common.evaluation.tables import print_table
from common.paths import AnyPath, as_path
from common.precision import frozen_dtype, use_precision
from common.training import say
from common.training.mesh import make_mesh
from common.training.results import write_evaluation
from common.training.sharding import place, shardings
from common.training.workdir import evaluation_file
from configs import aape, aape_captioning, aape_retrieval, aape_vqa

Rows = dict[str, dict[str, float]]

Measurable = tuple[int, Callable[[], Mapping[str, TestSet]]]
"""The width of all features, and what encodes the test sets."""


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("workdir", None, "Folder of a finished training run.")
    flags.DEFINE_string("data", None, "Data set to measure on; the run's own by default.")
    flags.DEFINE_string("cache", "", "Folder of encoded photos and texts.")
    flags.mark_flags_as_required(["workdir"])


def heads_of(workdir: AnyPath, names: Sequence[str]) -> dict[str, Any]:
    """Return the parameters that a run wrote, by variant."""
    return {name: read_head(workdir / "heads" / f"{name}.safetensors") for name in names}


def classification(config: ConfigDict, workdir: AnyPath, data: str | None) -> Rows:
    """Measure accuracy: the run's own row, then the variants' and those of text alone."""
    found = variants(config, always=ALWAYS)
    params = heads_of(workdir, list(found))
    heads = {name: Head.from_config(own) for name, own in found.items()}
    width, encode = other_set(config, data) if data else own_sets(config)
    for name, head in heads.items():
        require_fit(name, params[name], head.shapes(width))
    tests = encode()
    rows = {name: head_row(head, params[name], tests) for name, head in heads.items()}
    own, *others = rows
    return {own: rows[own], **text_rows(tests), **{name: rows[name] for name in others}}


def own_sets(config: ConfigDict) -> Measurable:
    """Return the test sets that the run itself was measured on."""
    opened = open_inputs(config)
    return opened.width, lambda: encode_all(opened).tests


def other_set(config: ConfigDict, data: str) -> Measurable:
    """Open photos of classes of which only the names are known."""
    target = open_target(config, data)
    clip = load_clip(config.model, frozen_dtype(config.dtype)) if config.model else None
    require_one_width(clip, target.dataset.test, target.texts, repr(data))
    cache = Path(config.cache).expanduser()
    return text_width(target.texts, clip), lambda: {"": encode_target(target, clip, cache)}


def retrieval(config: ConfigDict, workdir: AnyPath, data: str | None) -> Rows:
    """Measure retrieval: the run's own row, then the variants' and CLIP's."""
    config = changed(config, {"data": data or config.data, "start": ""})
    return by_method(Retrieval(config), config, workdir)


def questions(config: ConfigDict, workdir: AnyPath, data: str | None) -> Rows:
    """Measure answers: the run's own row, then the variants' and the most frequent answer's."""
    if data not in (None, config.data):
        raise UserError(
            f"--data={data}: the head knows the answers of {config.data!r} alone; train on the "
            "other data set."
        )
    config = changed(config, {"start": ""})
    return by_method(VQA(config), config, workdir)


def captions(config: ConfigDict, workdir: AnyPath, data: str | None) -> Rows:
    """Measure captions, or answers with a data set of questions; the run's own row first.

    With questions it writes the page `eval/answers.png`, too.
    """
    asked = read_questions(data) if data and is_question_set(data) else None
    config = changed(config, {"data": config.data if asked else data or config.data})
    method, trainable = Captioning(config), {}
    mesh = make_mesh(config.mesh.data, config.mesh.model)
    loaded = method.load(config, mesh, lambda rows: trainable.update(method.read(workdir)))
    frozen = place(loaded.frozen, shardings(loaded.frozen, method.frozen_rules, mesh))
    with jax.set_mesh(mesh):
        if not asked:
            found = method.evaluate(trainable, frozen)
            return {method.name: dict(found.metrics), **found.baselines}
        asker = method.questions(asked)
        shown = show_rows(method.captioner, trainable)
        rows = asker({name: own.show for name, own in shown.items()}, frozen["lm"])
    write_png(workdir / "eval" / "answers.png", asker.page(next(iter(rows))))
    return rows


def by_method(method: Retrieval | VQA, config: ConfigDict, workdir: AnyPath) -> Rows:
    """Measure what the training loop would, with the parameters that a run wrote."""
    heads: dict[str, Any] = {}

    def read(rows: Mapping[str, str]) -> None:
        """Read the heads when their sizes are known and nothing is encoded."""
        del rows
        heads.update(heads_of(workdir, list(method.objectives)))
        fresh = jax.eval_shape(method.init, jax.random.key(0))
        for name, params in heads.items():
            require_fit(name, params, fresh[name]["head"])

    method.load(config, make_mesh(config.mesh.data, config.mesh.model), read)
    found = method.evaluate({name: {"head": params} for name, params in heads.items()}, None)
    return {method.name: dict(found.metrics), **found.baselines}


TASKS: dict[str, Callable[[ConfigDict, AnyPath, str | None], Rows]] = {
    "Classification": classification,
    "Retrieval": retrieval,
    "VQA": questions,
    "Captioning": captions,
}
"""What measures a run, by `task_of` its config."""

DEFAULTS = [task.defaults for task in (aape, aape_retrieval, aape_vqa, aape_captioning)]


def task_of(config: ConfigDict) -> str:
    """Return the name of the class that trains a run, e.g. "Retrieval"."""
    return config.method.rpartition(":")[2]


def main(argv: Sequence[str]) -> None:
    """Evaluate and write `DIR/eval/NAME.json`."""
    del argv
    workdir, data = as_path(flags.FLAGS.workdir), flags.FLAGS.data
    config = read_config(workdir, *(defaults() for defaults in DEFAULTS), cache=flags.FLAGS.cache)
    out = evaluation_file(workdir, data or config.data)
    use_precision(config.dtype)
    rows = TASKS[task_of(config)](config, workdir, data)
    own, *others = rows
    result = {
        "method": own,
        "dataset": data or config.data,
        "model": config.model,
        "seed": config.seed,
        "metrics": rows[own],
        "baselines": {name: rows[name] for name in others},
    }
    print_table(result)
    write_evaluation(out, result)
    say(f"wrote {out}")


if __name__ == "__main__":
    run_command(main, define_flags)
