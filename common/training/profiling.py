"""A trace of some updates for XProf, which shows what the devices spent their time on."""

import re
import shutil
import tempfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import jax

from common.errors import UserError
from common.files import atomic_write
from common.paths import AnyPath, within
from common.progress import say

FOLDER = "profile"
"""Where the traces of a run are."""

_SPAN = re.compile(r"([0-9]{1,10}):([0-9]{1,10})")


def parse_profile(text: str, updates: int) -> range:
    """Return the updates that `profile=START:STOP` names, without STOP; none for an empty text.

    Raises:
      UserError: It does not name updates of the run.
    """
    match = _SPAN.fullmatch(text)
    span = range(*map(int, match.groups())) if match else range(0)
    if text and (not span or span.stop > updates):
        raise UserError(
            f"profile={text!r} is not START:STOP with 0 <= START < STOP <= updates={updates}: "
            "give e.g. profile=10:20, or leave it empty."
        )
    return span


class Profile:
    """Traces the calls that make the updates of a span; use as a context manager.

    Calls are traced as a whole. A run that is stopped within the span keeps what was traced by
    then, and one that resumes there traces the rest into a folder of its own.

    Args:
      span: See `parse_profile`.
      workdir: The run's folder.
      step: Where the run starts.
    """

    def __init__(self, span: range, workdir: AnyPath, step: int = 0) -> None:
        self._span, self._workdir = span, workdir
        self._local: tempfile.TemporaryDirectory | None = None
        if span and step >= span.stop:
            say(f"profile={span.start}:{span.stop} traces nothing: the run is at step {step}.")

    def __enter__(self) -> "Profile":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def starts_at(self, steps: range) -> bool:
        """Return whether the trace begins with the call of these steps."""
        shared = max(steps.start, self._span.start) < min(steps.stop, self._span.stop)
        return shared and self._local is None

    def stops_at(self, steps: range) -> bool:
        """Return whether the trace ends with the call of these steps."""
        return self._local is not None and steps.stop >= self._span.stop

    def start(self) -> None:
        """Begin; the calls that were sent before must have ended."""
        self._local = tempfile.TemporaryDirectory()  # A trace cannot be written into a bucket.
        options = jax.profiler.ProfileOptions()
        # Following Python's calls in the threads that save checkpoints has crashed jax 0.7.2.
        options.python_tracer_level = 0
        jax.profiler.start_trace(self._local.name, profiler_options=options)

    def marked(self, steps: range) -> AbstractContextManager:
        """Return the context of the call of these steps, which marks it as a step for XProf."""
        if self._local is None:
            return nullcontext()
        return jax.profiler.StepTraceAnnotation("updates", step_num=steps.start)

    def stop(self) -> None:
        """Write the trace, if one was begun, and say how it is looked at."""
        if self._local is None:
            return
        local, self._local = self._local, None
        with local:
            jax.profiler.stop_trace()
            # Each host has files of its own, by its name.
            for file in sorted(path for path in Path(local.name).rglob("*") if path.is_file()):
                out = within(self._workdir, FOLDER, *file.relative_to(local.name).parts)
                with atomic_write(out) as temporary:
                    shutil.copyfile(file, temporary)
        folder = self._workdir / FOLDER
        say(f"wrote {folder}; look at it with: pip install xprof && xprof --port=8791 {folder}")
