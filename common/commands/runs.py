"""What the commands do with a run once their flags are read; it takes seconds to import."""

from collections.abc import Sequence
from typing import Any

from absl import flags
from ml_collections import ConfigDict

from common.evaluation.tables import print_table
from common.hub import local_run
from common.paths import AnyPath
from common.precision import use_precision
from common.progress import say
from common.training import Method, find_method, train
from common.training.mesh import make_mesh
from common.training.method import method_class as method_class
from common.training.method import read_run_config
from common.training.outputs import write_outputs
from common.training.results import evaluation_record, learned_from, write_evaluation
from common.training.types import Evaluation
from common.training.unfinished import read_unfinished
from common.training.workdir import evaluation_file, evaluation_settings


def train_run(config: ConfigDict, workdir: AnyPath) -> None:
    """Train, evaluate, write what users take away, and say where it lies.

    Of a run that was finished before, nothing need be written.
    """
    method = find_method(config)
    result = train(method, workdir)
    print_table(result)
    for table in method.tables(method.config, result):
        say(table)
    written = ["result.json", *(name for name in method.writes if (workdir / name).exists())]
    say(f"all results in {workdir}: {', '.join(written)}")
    say(f"as a page: python -m common.report --html={workdir}")


def evaluate_run(methods: Sequence[type[Method]], part: str = "", **options: Any) -> None:
    """Evaluate and write `DIR/eval/NAME.json`, with pictures beside it.

    Args:
      methods: Whose runs the command measures.
      part: Of the run, where it has several, e.g. "run1": `NAME~run1.json`.
      options: Further arguments of `Method.measure`.

    Raises:
      UserError: The folder holds no finished run of these methods, or it cannot be measured so.
    """
    workdir, data = local_run(flags.FLAGS.workdir), flags.FLAGS.data
    method, config = read_run_config(workdir, methods, flags.FLAGS.cache)
    dataset = data or learned_from(config)
    out = evaluation_file(workdir, dataset, part)
    use_precision(config.get("dtype", "auto"))  # A method of one's own may do without.
    evaluation = method.measure(config, workdir, data, **options)
    settings = evaluation_settings(config, method.evaluation_fields)
    result = evaluation_record(method.name, config, evaluation, dataset, settings=settings)
    print_table(result)
    for table in method.tables(config, result):
        say(table)
    write_evaluation(out, result)
    write_outputs(evaluation, out.parent, f"{out.stem}-")
    say(f"wrote {out}")


def export_run(method: type[Method], workdir: AnyPath, out: AnyPath) -> None:
    """Write what a run has learned into the folder `out`, and say what was written.

    Raises:
      UserError: There is no run of this method, or nothing that it has learned.
    """
    _, config = read_run_config(workdir, (method,))
    use_precision(config.get("dtype", "auto"))
    opened = method(config)
    if (workdir / "result.json").exists():
        learned = opened.read(workdir)
    else:
        learned = read_unfinished(workdir).trainable
    opened.load(make_mesh(config.mesh.data, config.mesh.model))
    opened.save(learned, Evaluation({}), out)
    for name in method.writes:
        if (out / name).exists():
            say(f"wrote {out / name}")
