"""The training loop, written once for every method: from where a run stands to its end."""

import contextlib
from dataclasses import dataclass, field, replace

import jax
from jax.sharding import Mesh, NamedSharding
from jaxtyping import PyTree

from common.hosts import REPLICATED, place, to_host
from common.paths import AnyPath
from common.progress import Progress, say
from common.training.checkpoint_files import lost_end
from common.training.checkpoints import Checkpoints, Position
from common.training.ledger import Ledger, TrainingDiverged, legend
from common.training.method import Method
from common.training.profiling import Profile, parse_profile
from common.training.results import tell_not_finite
from common.training.schedule import Schedule
from common.training.signals import StopRequest
from common.training.state import TrainState
from common.training.step import feed_shardings, make_call, make_feed
from common.training.types import Evaluation, RunInputs
from common.training.utilisation import FlopMeter
from common.training.wandb_writer import wandb_writers
from common.training.writers import PREFIX, MetricWriter, read_evaluations


@dataclass(frozen=True)
class Material:
    """What a run is made of, on its devices.

    Attributes:
      mesh: The devices.
      inputs: What was loaded, with the data's fingerprint among the others.
      key: Of all steps.
      state: Where the run stands; the next step takes over its arrays.
      position: Where the run stands, beside its state.
    """

    mesh: Mesh
    inputs: RunInputs
    key: jax.Array
    state: TrainState
    position: Position = field(default_factory=Position)


@dataclass(frozen=True)
class Outcome:
    """What a run came to: its last evaluation, and after how many updates and seconds."""

    evaluation: Evaluation
    step: int
    trainable: PyTree
    seconds: float


def run_loop(
    method: Method,
    workdir: AnyPath,
    material: Material,
    started: float,
    finished: int | None = None,
) -> Outcome:
    """Train from where the folder stands to the end, and evaluate.

    Args:
      method: What is trained.
      workdir: The run's folder, which is locked.
      material: What the run is made of, at step 0.
      started: `time.monotonic()` when this process began.
      finished: The updates of a finished run, which is only evaluated.

    Raises:
      UserError: The checkpoint is of other weights or data, or a finished run lacks its last one.
      TrainingDiverged: The loss became infinite or NaN; the last good state is saved.
    """
    config, inputs = method.config, material.inputs
    with contextlib.ExitStack() as stack:
        checkpoints = stack.enter_context(
            Checkpoints(
                workdir / "checkpoints",
                config.keep,
                inputs.fingerprints,
                method.real_rows,
                inputs.notes,
                inputs.earlier,
            )
        )
        if (saved := checkpoints.restore(material.state)) is not None:
            material = replace(material, state=saved.state, position=saved.position)
            say(f"Resuming {workdir} at step {saved.position.step} of {config.updates}.")
        if finished is not None and material.position.step != finished:
            raise lost_end(workdir, finished)
        loop = _Loop(method, workdir, material, checkpoints, started, stack)
        return loop.train() if finished is None else loop.finish(finished)


class _Loop:
    """What the host does while a run goes on.

    Args:
      method, workdir, material, started: See `run_loop`; the run goes on from the material.
      checkpoints: Where states are saved.
      stack: Closes what is opened here.
    """

    def __init__(
        self,
        method: Method,
        workdir: AnyPath,
        material: Material,
        checkpoints: Checkpoints,
        started: float,
        stack: contextlib.ExitStack,
    ) -> None:
        config, mesh, position = method.config, material.mesh, material.position
        self._method, self._material, self._checkpoints = method, material, checkpoints
        self._state, self._schedule = material.state, Schedule.from_config(config)
        self._evaluations = read_evaluations(workdir, position.step, position.metrics_bytes)
        self._call = make_call(method, jax.tree.map(lambda x: x.sharding, material.state), mesh)

        # ---- Whom to tell.
        if method.terms and config.progress:
            say(legend(method.terms))
        writers = wandb_writers(config, workdir)
        writer = MetricWriter(workdir, position.step, position.metrics_bytes, writers)
        self._metrics = stack.enter_context(writer)
        bar = Progress(
            config.updates,
            method.name,
            start=position.step,
            status="compiling…",
            show=config.progress,
        )
        self._progress = stack.enter_context(bar)
        self._meter = FlopMeter(mesh, config.steps_per_call)
        told = self._metrics, self._progress, self._meter
        self._ledger = Ledger(method, self._schedule, position, started, *told)
        span = parse_profile(config.get("profile", ""), config.updates)
        self._profile = stack.enter_context(Profile(span, workdir, position.step))

    def train(self) -> Outcome:
        """Make the updates that are left, and finish."""
        try:
            with StopRequest() as stop:
                done, evaluation = self._make_updates(stop)
        except TrainingDiverged as diverged:
            # A refused step leaves the state as it was, and so do the steps after it.
            self._save(self._ledger.position())
            self._metrics.write(diverged.step, {"loss": None})
            raise
        # From here on a signal ends the program at once: nothing is lost.
        self._checkpoints.wait()
        if evaluation is None and self._schedule.previews_at(done):
            self._preview(done)
        return self.finish(done, evaluation)

    def finish(self, done: int, evaluation: Evaluation | None = None) -> Outcome:
        """Return what the run came to; it is evaluated here if no evaluation is given."""
        evaluation = evaluation or self._evaluate(done)
        return Outcome(evaluation, done, to_host(self._state.trainable), self._ledger.seconds)

    def _make_updates(self, stop: StopRequest) -> tuple[int, Evaluation | None]:
        """Return after how many updates training ended, and the evaluation that ended it early.

        The order within a turn matters:
        1. The evaluation of a step follows its checkpoint, so that it can neither delay nor
           lose it. A run that resumes there evaluates again: its metrics were cut back to
           where they stood at the checkpoint.
        2. A call is sent before the report of the call before is read, so that the device
           never waits for the host.
        3. Every report is booked before a checkpoint is saved, so that the checkpoint knows
           where the metrics stood.
        """
        schedule, ledger = self._schedule, self._ledger
        for steps in schedule.calls(self._material.position.step):
            if schedule.previews_at(steps.start):
                self._preview(steps.start)
            if schedule.evaluates_at(steps.start):
                reached = ledger.position()
                evaluation = self._evaluate(steps.start)
                if self._method.stops(self._evaluations):
                    if not schedule.saves_at(steps.start):
                        self._save(reached)
                    name, end = self._method.name, schedule.updates
                    say(f"{name}: stops after step {steps.start} of {end}.")
                    return steps.start, evaluation
            self._send(steps)
            signal, profiled = stop.requested(), self._profile.stops_at(steps)
            if signal or profiled or schedule.pauses_at(steps.stop):
                ledger.settle()
            if profiled:
                self._profile.stop()
            if signal or schedule.saves_at(steps.stop):
                self._save(ledger.position())
            if signal:
                say(f"{signal.name}: step {steps.stop} is saved; run again to go on.")
                raise SystemExit(128 + signal)
        return schedule.updates, None

    def _send(self, steps: range) -> None:
        """Send the call of some steps, and book the report of the call before."""
        mesh, key, inputs = self._material.mesh, self._material.key, self._material.inputs
        feed = make_feed(inputs.source, steps, self._schedule.steps_per_call)
        feed = place(feed, feed_shardings(feed, self._method.batch_rules, mesh))
        self._meter.count(self._call, self._state, inputs.frozen, key, feed)
        if self._profile.starts_at(steps):
            self._ledger.settle()
            self._profile.start()
        with self._profile.marked(steps):
            self._state, report = self._call(self._state, inputs.frozen, key, feed)
        self._ledger.settle()
        self._ledger.expect(report, steps.stop)

    def _evaluate(self, step: int) -> Evaluation:
        with self._progress.paused("evaluating…"):
            evaluation = self._method.evaluate(self._replicated(), self._material.inputs.frozen)
        metrics = evaluation.metrics
        self._metrics.write(step, {f"{PREFIX}{name}": x for name, x in metrics.items()})
        self._metrics.pictures(step, evaluation.pictures)
        tell_not_finite({**metrics, "baselines": evaluation.baselines})
        self._evaluations.append(metrics)
        return evaluation

    def _preview(self, step: int) -> None:
        with self._progress.paused("drawing previews…"):
            pictures = self._method.preview(self._replicated(), self._material.inputs.frozen)
        self._metrics.pictures(step, pictures)

    def _save(self, position: Position) -> None:
        self._metrics.flush()
        self._checkpoints.save(self._state, position)

    def _replicated(self) -> PyTree:
        """Return the trainable tree with every array whole on every device."""
        everywhere = NamedSharding(self._material.mesh, REPLICATED)
        tree = self._state.trainable
        return place(to_host(tree), jax.tree.map(lambda _: everywhere, tree))
