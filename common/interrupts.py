"""Ctrl-C and SIGTERM, answered at once wherever a program is.

Python runs its handlers between two steps of its own, so one that compiles, for minutes, hears of
no signal. The system's part of a handler can be watched by another thread.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType

GRACE = 1.0
"""Seconds that the program has to end by itself before it is ended."""

NUMBERS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def watched(callback: Callable[[signal.Signals, int], None]) -> Iterator[None]:
    """Call `callback(signal, count)` in a thread as soon as SIGINT or SIGTERM comes.

    Handlers are left to the caller: a signal without one of Python's ends the program as ever.
    Outside the main thread (a server, some notebooks) signals are not ours, and nothing is done.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    try:
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    except ValueError:
        before = None
    thread = threading.Thread(target=_watch, args=(reader, callback), name="signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        if before is not None:
            signal.set_wakeup_fd(before)
        writer.close()  # The thread's last word.
        thread.join()
        reader.close()


def _watch(reader: socket.socket, callback: Callable[[signal.Signals, int], None]) -> None:
    """Tell `callback` of each signal until the other end of `reader` is closed."""
    count = 0
    while received := reader.recv(1):
        if received[0] in NUMBERS:
            count += 1
            callback(signal.Signals(received[0]), count)


def end(number: signal.Signals) -> None:
    """End the program at once, from whatever thread, with the status of the signal."""
    # A signal may come while a line is written, when files of Python's take no other line.
    with contextlib.suppress(RuntimeError, OSError, ValueError):
        sys.stdout.flush()
    with contextlib.suppress(OSError):
        os.write(2, b"interrupted\n")
    os._exit(128 + number)


def end_unless(done: threading.Event, number: signal.Signals) -> None:
    """End the program if it does not end by itself."""
    if not done.wait(GRACE):
        end(number)


@contextlib.contextmanager
def answering_interrupts() -> Iterator[None]:
    """Answer Ctrl-C while a command goes on, also where no Python code runs.

    The first one is `KeyboardInterrupt`, as ever, but ends the program while it imports; where
    nothing can be raised at once, the second one ends it.
    """
    before = signal.getsignal(signal.SIGINT)
    ours = before in (_end_importing, signal.default_int_handler)
    left = threading.Event()
    main = threading.main_thread().ident
    with contextlib.ExitStack() as stack:
        if ours and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, _interrupt)
            stack.callback(signal.signal, signal.SIGINT, signal.default_int_handler)
        stack.enter_context(watched(partial(_answer, left, main)))
        stack.callback(left.set)
        yield


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise `KeyboardInterrupt`, but not into an import.

    Extension modules that import others while they start, as jaxlib's do, crash on an exception
    that comes out of nowhere.
    """
    if _imports(frame):
        end(signal.Signals(number))
    signal.default_int_handler(number, frame)


def _imports(frame: FrameType | None) -> bool:
    """Return whether an import is going on, in this frame or one that called it."""
    while frame and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


def _answer(left: threading.Event, main: int | None, number: signal.Signals, count: int) -> None:
    if number != signal.SIGINT or signal.getsignal(number) is not _interrupt:
        return
    if count > 1:
        end_unless(left, number)
        return
    before = _line(main)
    time.sleep(GRACE)
    if _line(main) == before and not left.is_set():
        print("stopping after this call; again to stop now.", file=sys.stderr, flush=True)


def _line(thread: int | None) -> tuple[int, int] | None:
    """Return where a thread is; it stays there while it is in a library of another language."""
    frame = sys._current_frames().get(thread)
    return (id(frame), frame.f_lasti) if frame else None


def end_quietly_while_importing(packages: tuple[str, ...]) -> None:
    """Let Ctrl-C end a command that is still importing with its status and no traceback.

    Done for `python -m PACKAGE.NAME` of these packages alone: whoever imports them for his own
    purposes has his own handlers. `answering_interrupts` takes the place of it.
    """
    arguments = sys.orig_argv
    module = arguments[arguments.index("-m") + 1 :][:1] if "-m" in arguments else []
    in_packages = module and module[0].partition(".")[0] in packages
    if in_packages and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        with contextlib.suppress(ValueError):  # Not the main thread.
            signal.signal(signal.SIGINT, _end_importing)


def _end_importing(number: int, _: FrameType | None) -> None:
    end(signal.Signals(number))
