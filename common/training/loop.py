"""The training loop, written once for every method.

    result = train(method, workdir)

The same call on the same folder resumes, bit for bit as an undisturbed run: batches and
keys depend on the step alone, and a checkpoint holds the state, the position in data and
metrics, and the clock.
"""

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding
from jaxtyping import PyTree
from ml_collections import ConfigDict

from common.damage import cause
from common.errors import UserError
from common.files import remove_partial
from common.hosts import REPLICATED, place, same_everywhere, to_host
from common.paths import AnyPath, as_path
from common.precision import use_precision
from common.progress import Progress, say
from common.text import counted
from common.training.checkpoint_files import holds_step, lost_end
from common.training.checkpoints import Checkpoints, Position
from common.training.ledger import Ledger, TrainingDiverged, legend
from common.training.lock import locked, require_free
from common.training.mesh import join_cluster, make_mesh, use_compile_cache
from common.training.method import Method, require_method
from common.training.outputs import write_outputs
from common.training.profiling import Profile, parse_profile
from common.training.rates import check_rate
from common.training.results import make_result, tell_not_finite, write_result
from common.training.schedule import Schedule
from common.training.sharding import placed
from common.training.signals import StopRequest
from common.training.start import initial_state
from common.training.state import TrainState
from common.training.step import feed_shardings, make_call, make_feed
from common.training.summary import summary_rows, summary_table
from common.training.types import Evaluation, Source
from common.training.utilisation import FlopMeter
from common.training.wandb_writer import wandb_writers
from common.training.workdir import changed_fields, check_workdir, has_update, write_config
from common.training.writers import PREFIX, MetricWriter, read_evaluations


@dataclass(frozen=True)
class Material:
    """What a run is made of, on its devices: its state before the first step, the key of all
    steps, and what was loaded (see `RunInputs`)."""

    mesh: Mesh
    state: TrainState
    key: jax.Array
    frozen: PyTree
    source: Source
    fingerprints: Mapping[str, str]
    notes: Mapping[str, Any]
    earlier: Mapping[str, Callable[[], str]]


@dataclass(frozen=True)
class Outcome:
    """What a run came to: its last evaluation, and after how many updates and seconds."""

    evaluation: Evaluation
    step: int
    trainable: PyTree
    seconds: float


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
    schedule = Schedule.from_config(config)
    parse_profile(config.get("profile", ""), schedule.updates)
    check_rate(config, schedule.updates)
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
    updates = finished["updates"] if finished else -1
    if not same_everywhere(has_update(workdir), updates, bool(again)):
        raise UserError(
            f"the processes of this cluster do not see the same files in {workdir}: give a "
            "--workdir that all of them share."
        )
    if finished is not None:
        if not again:
            steps = counted(finished["updates"], "step")
            say(f"{workdir} holds a finished run of {steps}; nothing to do.")
            return finished
        if not holds_step(workdir / "checkpoints", finished["updates"]):
            raise lost_end(workdir, finished["updates"])
        say(f"{workdir} holds a finished run, which is evaluated again {again}.")
    require_free(workdir)

    # ---- Devices, weights and data.
    use_compile_cache(config.compile_cache)
    use_precision(config.get("dtype", "auto"))
    mesh = make_mesh(config.mesh.data, config.mesh.model)

    def tell(rows: Mapping[str, str]) -> None:
        say(summary_table(summary_rows(method.name, rows, config, mesh, workdir)))

    loaded = method.load(mesh, tell)
    frozen = placed(loaded.frozen, method.frozen_rules, mesh)
    state, key = initial_state(method, config.seed, mesh)
    material = Material(
        mesh=mesh,
        state=state,
        key=key,
        frozen=frozen,
        source=loaded.source,
        fingerprints={**loaded.fingerprints, "data": loaded.source.fingerprint},
        notes=loaded.notes,
        earlier=loaded.earlier,
    )
    # The host's copy of the weights; and the state's arrays, which the first step takes over.
    del loaded, state

    # ---- From here on the folder is ours.
    with locked(workdir, check):
        if jax.process_index() == 0:
            remove_partial(workdir)
            if finished is None:
                write_config(workdir, config)
        with jax.set_mesh(mesh):
            outcome = _run(method, config, workdir, material, finished, started)
        evaluation = outcome.evaluation
        result = make_result(method.name, config, evaluation, outcome.step, outcome.seconds)
        if jax.process_index() == 0:
            write_outputs(evaluation, workdir)
            method.save(outcome.trainable, evaluation, workdir)
            write_result(workdir, result)
            # Last, so that another evaluation that was interrupted is made up for.
            write_config(workdir, config)
        multihost_utils.sync_global_devices("result written")
    return result


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


def _run(
    method: Method,
    config: ConfigDict,
    workdir: AnyPath,
    material: Material,
    finished: Mapping[str, Any] | None,
    started: float,
) -> Outcome:
    """Train from where the folder stands to the end, and evaluate."""
    mesh, frozen, schedule = material.mesh, material.frozen, Schedule.from_config(config)
    state, key = material.state, material.key
    with contextlib.ExitStack() as stack:
        checkpoints = stack.enter_context(
            Checkpoints(
                workdir / "checkpoints",
                config.keep,
                material.fingerprints,
                method.real_rows,
                material.notes,
                material.earlier,
            )
        )

        # ---- Resume or start.
        position = Position()
        if (restored := checkpoints.restore(state)) is not None:
            state, position = restored.state, restored.position
            say(f"Resuming {workdir} at step {position.step} of {schedule.updates}.")
        done = finished["updates"] if finished else schedule.updates
        if finished and position.step != done:
            raise lost_end(workdir, done)
        evaluations = read_evaluations(workdir, position.step, position.metrics_bytes)
        call = make_call(method, jax.tree.map(lambda leaf: leaf.sharding, state), mesh)

        # ---- Whom to tell.
        if method.terms and config.progress:
            say(legend(method.terms))
        writers = wandb_writers(config, workdir)
        writer = MetricWriter(workdir, position.step, position.metrics_bytes, writers)
        metrics = stack.enter_context(writer)
        progress = stack.enter_context(
            Progress(
                schedule.updates,
                method.name,
                start=position.step,
                status="compiling…",
                show=config.progress,
            )
        )
        meter = FlopMeter(mesh, schedule.steps_per_call)
        ledger = Ledger(
            *(schedule, position, metrics, progress, started),
            terms=method.terms,
            rates=method.learning_rates,
            meter=meter,
        )
        span = parse_profile(config.get("profile", ""), schedule.updates)
        profile = stack.enter_context(Profile(span, workdir, position.step))

        def evaluate(step: int) -> Evaluation:
            with progress.paused("evaluating…"):
                evaluation = method.evaluate(_replicated(state.trainable, mesh), frozen)
            metrics.write(step, {f"{PREFIX}{k}": v for k, v in evaluation.metrics.items()})
            metrics.pictures(step, evaluation.pictures)
            tell_not_finite({**evaluation.metrics, "baselines": evaluation.baselines})
            evaluations.append(evaluation.metrics)
            return evaluation

        def preview(step: int) -> None:
            with progress.paused("drawing previews…"):
                pictures = method.preview(_replicated(state.trainable, mesh), frozen)
            metrics.pictures(step, pictures)

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
        evaluation = None
        try:
            with StopRequest() as stop:
                for steps in () if finished else schedule.calls(position.step):
                    if schedule.previews_at(steps.start):
                        preview(steps.start)
                    if schedule.evaluates_at(steps.start):
                        reached = ledger.position()
                        latest = evaluate(steps.start)
                        if method.stops(evaluations):
                            evaluation, done = latest, steps.start
                            if not schedule.saves_at(done):
                                save(reached)
                            say(f"{method.name}: stops after step {done} of {schedule.updates}.")
                            break
                    feed = make_feed(material.source, steps, schedule.steps_per_call)
                    feed = place(feed, feed_shardings(feed, method.batch_rules, mesh))
                    meter.count(call, state, frozen, key, feed)
                    if profile.starts_at(steps):
                        ledger.settle()
                        profile.start()
                    with profile.marked(steps):
                        state, report = call(state, frozen, key, feed)
                    ledger.settle()
                    ledger.expect(report, steps.stop)
                    signal, profiled = stop.requested(), profile.stops_at(steps)
                    if signal or profiled or schedule.pauses_at(steps.stop):
                        ledger.settle()
                    if profiled:
                        profile.stop()
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
        if schedule.previews_at(done) and not (finished or evaluation):
            preview(done)
        evaluation = evaluation or evaluate(done)
        return Outcome(evaluation, done, to_host(state.trainable), ledger.seconds)


def _replicated(tree: PyTree, mesh: Mesh) -> PyTree:
    everywhere = NamedSharding(mesh, REPLICATED)
    return place(to_host(tree), jax.tree.map(lambda _: everywhere, tree))
