"""A run, from its method and its folder to its result.

    result = train(method, workdir)

The same call on the same folder resumes, bit for bit as an undisturbed run: batches and
keys depend on the step alone, and a checkpoint holds the state, the position in data and
metrics, and the clock.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import jax
from jax.experimental import multihost_utils

from common.damage import cause
from common.errors import UserError
from common.files import remove_partial
from common.hosts import same_everywhere
from common.paths import AnyPath, as_path
from common.precision import computing
from common.progress import say
from common.text import counted
from common.training.checkpoint_files import holds_step, lost_end
from common.training.lock import locked, require_free
from common.training.loop import Material, run_loop
from common.training.mesh import join_cluster, make_mesh, use_compile_cache
from common.training.method import Method, require_method
from common.training.outputs import write_outputs
from common.training.profiling import parse_profile
from common.training.rates import check_rate
from common.training.results import make_result, write_result
from common.training.schedule import Schedule
from common.training.sharding import placed
from common.training.start import initial_state
from common.training.summary import summary_rows, summary_table
from common.training.workdir import changed_fields, check_workdir, has_update, write_config


def train(method: Method, workdir: AnyPath | str) -> dict[str, Any]:
    """Train `method` into `workdir` and return what `result.json` holds.

    A finished folder is left as it is, but where fields that only evaluation reads have changed,
    or a file of what it learned is missing or damaged, or a picture is missing, it is evaluated and
    saved again from its checkpoint. SIGTERM and Ctrl-C save a checkpoint and exit with
    status 128 + signal (143, 130), which is what shells and schedulers see of a program that
    a signal ended: the run is not finished, and the same command continues it.

    Raises:
      UserError: The config, the folder or the data are not in order.
      TrainingDiverged: The loss became infinite or NaN; the last good state is saved.
    """
    # ---- Refuse early. Nothing slow is begun before the config and the folder are in order,
    # and nothing is written before the weights and the data are, too.
    started = time.monotonic()
    require_method(method)
    config = method.config
    _check_plan(method)
    workdir = as_path(workdir)
    check = partial(
        check_workdir,
        workdir,
        config,
        method.evaluation_fields,
        method.writes,
        method.get_config(),
        method.decisive,
    )
    finished = check()
    join_cluster()
    again = _why_again(method, workdir, finished) if finished else ""
    _require_same_files(workdir, finished, again)
    if finished is not None:
        if not again:
            steps = counted(finished["updates"], "step")
            say(f"{workdir} holds a finished run of {steps}; nothing to do.")
            return finished
        if not holds_step(workdir / "checkpoints", finished["updates"]):
            raise lost_end(workdir, finished["updates"])
        say(f"{workdir} holds a finished run, which is evaluated again {again}.")
    require_free(workdir)
    use_compile_cache(config.compile_cache)
    with computing(config.get("dtype", "auto")):
        material = _load(method, workdir)
        # From here on the folder is ours.
        with locked(workdir, check):
            return _run(method, workdir, material, started, finished)


def _run(
    method: Method,
    workdir: AnyPath,
    material: Material,
    started: float,
    finished: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Train into the folder, or evaluate what is finished there, and write the result."""
    config, first = method.config, jax.process_index() == 0
    if first:
        remove_partial(workdir)
        if finished is None:
            write_config(workdir, config)
    with jax.set_mesh(material.mesh):
        end = finished["updates"] if finished else None
        outcome = run_loop(method, workdir, material, started, finished=end)
    evaluation = outcome.evaluation
    result = make_result(method.name, config, evaluation, outcome.step, outcome.seconds)
    if first:
        write_outputs(evaluation, workdir)
        method.save(outcome.trainable, evaluation, workdir)
        write_result(workdir, result)
        # Last, so that another evaluation that was interrupted is made up for.
        write_config(workdir, config)
    multihost_utils.sync_global_devices("result written")
    return result


def _check_plan(method: Method) -> None:
    """Refuse a config whose counts of updates contradict one another."""
    config, updates = method.config, Schedule.from_config(method.config).updates
    parse_profile(config.get("profile", ""), updates)
    check_rate(config, updates)


def _why_again(method: Method, workdir: AnyPath, finished: Mapping[str, Any]) -> str:
    """Return why a finished run is evaluated and saved once more; "" where it is left as it is."""
    if changed := changed_fields(workdir, method.config):
        return "with " + ", ".join(f"{name}={value!r}" for name, value in changed.items())
    try:
        method.read(workdir)
    except Exception as error:  # Damage takes any form.
        return f"and saved from its checkpoint, since what it saved cannot be read ({cause(error)})"
    lost = sorted({*finished.get("files", ())} - {file.name for file in workdir.iterdir()})
    if lost and holds_step(workdir / "checkpoints", finished["updates"]):
        return f"to write {', '.join(lost)} once more"
    return ""


def _require_same_files(workdir: AnyPath, finished: Mapping[str, Any] | None, again: str) -> None:
    """Refuse a folder in which processes of a cluster see different runs.

    Raises:
      UserError: They do; some would wait for the others without end.
    """
    updates = finished["updates"] if finished else -1
    if not same_everywhere(has_update(workdir), updates, bool(again)):
        raise UserError(
            f"the processes of this cluster do not see the same files in {workdir}: give a "
            "--workdir that all of them share."
        )


def _load(method: Method, workdir: AnyPath) -> Material:
    """Put weights and data on the devices, and print the run's first table."""
    config = method.config
    mesh = make_mesh(config.mesh.data, config.mesh.model)

    def tell(rows: Mapping[str, str]) -> None:
        say(summary_table(summary_rows(method.name, rows, config, mesh, workdir)))

    loaded = method.load(mesh, tell)
    inputs = replace(
        loaded,
        frozen=placed(loaded.frozen, method.frozen_rules, mesh),
        fingerprints={**loaded.fingerprints, "data": loaded.source.fingerprint},
    )
    state, key = initial_state(method, config.seed, mesh)
    return Material(mesh, inputs, key, state)
