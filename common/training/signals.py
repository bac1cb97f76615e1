"""Being asked to stop: SIGTERM from a scheduler, Ctrl-C from a person."""

import contextlib
import signal
import threading
from types import FrameType

import jax
from jax.experimental import multihost_utils

from common.interrupts import NUMBERS, end_unless, watched
from common.progress import say


class StopRequest:
    """Turns SIGTERM and SIGINT into a flag that the loop reads between calls.

    The first is answered at once, also while a program is compiled, and the run goes on to the
    end of its call. A second one acts as it would have without us, or ends the program if it
    cannot. On a cluster a host may receive it before the others, so there JAX's preemption
    service catches SIGTERM and finds the call at which all hosts stop.
    """

    def __init__(self) -> None:
        self._signal: signal.Signals | None = None
        self._calls = 0
        self._before: dict[signal.Signals, object] = {}
        self._left = threading.Event()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "StopRequest":
        if jax.process_count() == 1:
            for number in NUMBERS:
                # Outside the main thread (a server, some notebooks) signals are not ours.
                with contextlib.suppress(ValueError):
                    self._before[number] = signal.signal(number, self._note)
            self._stack.enter_context(watched(self._answer))
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._stack.close()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def requested(self) -> signal.Signals | None:
        """Return the signal that came, if any. On a cluster all hosts ask equally often."""
        self._calls += 1
        if jax.process_count() > 1 and multihost_utils.reached_preemption_sync_point(self._calls):
            return signal.SIGTERM
        return self._signal

    def _note(self, number: int, _: FrameType | None) -> None:
        self._signal = signal.Signals(number)
        signal.signal(number, self._before[self._signal])

    def _answer(self, number: signal.Signals, count: int) -> None:
        if count == 1:
            say(f"{number.name}: stopping after this call; again to stop now.")
        else:
            end_unless(self._left, number)
