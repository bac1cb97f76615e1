"""The training loop, written once for every method.

    result = train(method, config, workdir)

The same call on the same folder resumes, to the very bits of an undisturbed run: batches and
keys depend on the step alone, and a checkpoint holds the state, the position in data and
metrics, and the clock.
"""

import contextlib
import time
from typing import Any

import jax
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding
from jaxtyping import PyTree
from ml_collections import ConfigDict

from common.config import flatten
from common.errors import UserError
from common.files import remove_partial
from common.hosts import to_host
from common.paths import AnyPath, as_path
from common.precision import use_precision
from common.progress import Progress, say
from common.training.checkpoints import Checkpoints, Position
from common.training.ledger import Ledger, TrainingDiverged
from common.training.mesh import join_cluster, make_mesh, use_compile_cache
from common.training.method import Evaluation, Method
from common.training.schedule import Schedule
from common.training.sharding import REPLICATED, place, shardings
from common.training.signals import StopRequest
from common.training.state import TrainState, init_state, state_shardings
from common.training.step import feed_shardings, make_call, make_feed
from common.training.summary import summary_rows, summary_table
from common.training.wandb_writer import require_wandb, wandb_writers
from common.training.workdir import check_workdir, make_result, write_config, write_result
from common.training.writers import PREFIX, MetricWriter, read_evaluations

FIELDS = (
    "compile_cache",
    "data",
    "keep",
    "mesh.data",
    "mesh.model",
    "model",
    "progress",
    "seed",
    "wandb",
)
"""Fields that the loop reads beside those of `Schedule`."""


def train(method: Method, config: ConfigDict, workdir: AnyPath | str) -> dict[str, Any]:
    """Trains `method` into `workdir` and returns what `result.json` holds.

    A finished folder is left as it is. SIGTERM and Ctrl-C save a checkpoint and exit with
    status 128 + signal (143, 130), which is what shells and schedulers see of a program that
    a signal ended: the run is not finished, and the same command continues it.

    Raises:
      UserError: the config, the folder or the data are not in order.
      TrainingDiverged: the loss became infinite or NaN; the last good state is saved.
    """
    # ---- Refuse early. Nothing slow is begun before the config and the folder are in order,
    # and nothing is written before the weights and the data are, too.
    started = time.monotonic()
    _check_fields(config)
    config = method.complete(config)
    schedule = Schedule.from_config(config)
    workdir = as_path(workdir)
    finished = check_workdir(workdir, config)
    join_cluster()
    if finished is not None:
        say(f"{workdir} holds a finished run of {finished['updates']} steps; nothing to do.")
        return finished

    # ---- Devices, weights and data.
    use_compile_cache(config.compile_cache)
    use_precision(config.get("dtype", "auto"))
    mesh = make_mesh(config.mesh.data, config.mesh.model)
    loaded = method.load(config, mesh)
    source = loaded.source
    fingerprints = {**loaded.fingerprints, "data": source.fingerprint}
    kept = config.keep, fingerprints, method.real_rows, loaded.notes
    frozen = place(loaded.frozen, shardings(loaded.frozen, method.frozen_rules, mesh))
    say(summary_table(summary_rows(method.name, loaded.summary, config, mesh, workdir)))
    del loaded  # The host's copy of the weights.
    state, key = _initial_state(method, config.seed, mesh)
    if jax.process_index() == 0:
        remove_partial(workdir)
        write_config(workdir, config)

    with contextlib.ExitStack() as stack:
        stack.enter_context(jax.set_mesh(mesh))
        checkpoints = stack.enter_context(Checkpoints(workdir / "checkpoints", *kept))

        # ---- Resume or start.
        position = Position()
        if (restored := checkpoints.restore(state)) is not None:
            state, position = restored.state, restored.position
            say(f"Resuming {workdir} at step {position.step} of {schedule.updates}.")
        evaluations = read_evaluations(workdir, position.step, position.metrics_bytes)
        call = make_call(method, jax.tree.map(lambda leaf: leaf.sharding, state), mesh)

        # ---- Whom to tell.
        told = position.step, position.metrics_bytes, wandb_writers(config, workdir)
        metrics = stack.enter_context(MetricWriter(workdir, *told))
        progress = stack.enter_context(
            Progress(
                schedule.updates,
                method.name,
                start=position.step,
                status="compiling…",
                show=config.progress,
            )
        )
        ledger = Ledger(schedule, position, metrics, progress, started)

        def evaluate(step: int) -> Evaluation:
            with progress.paused("evaluating…"):
                evaluation = method.evaluate(_replicated(state.trainable, mesh), frozen)
            metrics.write(step, {f"{PREFIX}{k}": v for k, v in evaluation.metrics.items()})
            metrics.pictures(step, evaluation.pictures)
            evaluations.append(evaluation.metrics)
            return evaluation

        def save(position: Position) -> None:
            metrics.flush()
            checkpoints.save(state, position)

        # ---- Train. The order within a turn matters:
        # 1. The evaluation of a step follows its checkpoint, so that it can neither delay nor
        #    lose it. A run that resumes there evaluates again: its metrics were cut back to
        #    where they stood at the checkpoint.
        # 2. A call is sent before the report of the call before is read, so that the device
        #    never waits for the host.
        # 3. Every report is booked before a checkpoint is saved, so that the checkpoint knows
        #    where the metrics stood.
        evaluation, done = None, schedule.updates
        try:
            with StopRequest() as stop:
                for steps in schedule.calls(position.step):
                    if schedule.evaluates_at(steps.start):
                        here = ledger.position()
                        found = evaluate(steps.start)
                        if method.stops(evaluations):
                            evaluation, done = found, steps.start
                            if not schedule.saves_at(done):
                                save(here)
                            say(f"{method.name}: stops after step {done} of {schedule.updates}.")
                            break
                    feed = make_feed(source, steps, schedule.steps_per_call)
                    feed = place(feed, feed_shardings(feed, method.batch_rules, mesh))
                    state, report = call(state, frozen, key, feed)
                    ledger.settle()
                    ledger.expect(report, steps.stop)
                    signal = stop.requested()
                    if signal or schedule.pauses_at(steps.stop):
                        ledger.settle()
                    if signal or schedule.saves_at(steps.stop):
                        save(ledger.position())
                    if signal:
                        say(f"{signal.name}: step {steps.stop} is saved; run again to go on.")
                        raise SystemExit(128 + signal)
        except TrainingDiverged as diverged:
            # A refused step leaves the state as it was, and so do the steps after it.
            save(ledger.position())
            metrics.write(diverged.step, {"loss": None})
            raise

        # ---- Finish. From here on a signal ends the program at once: nothing is lost.
        checkpoints.wait()
        evaluation = evaluation or evaluate(done)
        trainable = to_host(state.trainable)

    result = make_result(method.name, config, evaluation, done, ledger.seconds)
    if jax.process_index() == 0:
        method.save(trainable, workdir)
        write_result(workdir, result)
    multihost_utils.sync_global_devices("result written")
    return result


def _check_fields(config: ConfigDict) -> None:
    missing = [name for name in FIELDS if name not in flatten(config)]
    if missing:
        raise UserError(f"the config has no field {missing[0]!r}, which the loop needs.")
    if not 0 <= config.seed < 2**31:
        raise UserError(f"seed={config.seed} is out of range: give a number from 0 to 2**31 - 1.")
    if config.keep < 1:
        raise UserError(f"keep={config.keep}: at least one checkpoint must be kept.")
    if "://" in config.get("cache", ""):
        raise UserError(f"cache={config.cache!r} is no folder of a disk, as the cache must be.")
    require_wandb(config.wandb)


def _initial_state(method: Method, seed: int, mesh: Mesh) -> tuple[TrainState, jax.Array]:
    """The state before the first step and the key of all steps, on the devices."""
    # Kilobytes, so the tree is made by every host and moved, which lets a method compute it
    # as it likes.
    state = init_state(method.init(jax.random.key(seed)), method.optimizer())
    state = place(state, state_shardings(state, method.trainable_rules, mesh))
    make_key = jax.jit(
        lambda seed: jax.random.fold_in(jax.random.key(seed), 1),
        out_shardings=NamedSharding(mesh, REPLICATED),
    )
    return state, make_key(seed)


def _replicated(tree: PyTree, mesh: Mesh) -> PyTree:
    everywhere = NamedSharding(mesh, REPLICATED)
    return place(to_host(tree), jax.tree.map(lambda _: everywhere, tree))
