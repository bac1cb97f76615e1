"""Mistakes that a user can mend, and how every command reports them."""

import errno
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import partial

from absl import app, flags, logging

from common.interrupts import answering_interrupts
from common.lazy import in_cluster
from common.text import printable
from common.version import __version__

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a disk without space, of a used-up quota and of a limit to a file's size."""


PLACE = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG),
    *(errno.ELOOP, errno.EISDIR, errno.ENOTDIR),
)
"""Errors of a place where no file can be read or written."""


class UserError(Exception):
    """One clear sentence that names the offending value and the remedy.

    Attributes:
      exit_status: What a command ends with: 2 where it was refused, which is the rule. A run
        that worked and then failed for a reason the user can mend says 1.
    """

    exit_status = 2


def run_command(
    main: Callable[[Sequence[str]], None],
    define_flags: Callable[[], None] | None = None,
    *,
    positional: bool = False,
) -> None:
    """Run `main(argv)` as a command: bad input ends in one sentence and exit status 2.

    Flags are parsed before `main` starts, so a misspelt flag costs no time. Anything that is
    not a `UserError` is a defect of ours and keeps its traceback. docs/commands.md lists the
    exit statuses.

    Args:
      main: The command, called with the arguments that are not flags.
      define_flags: Called first, so that importing a command's module defines no flags.
      positional: Whether the command takes arguments that are not flags.
    """
    with answering_interrupts():
        before = set(flags.FLAGS)
        flags.DEFINE_flag(_VersionFlag())
        if define_flags is not None:
            define_flags()
        # `--help` shows the flags of the command, wherever they are defined.
        for name in set(flags.FLAGS) - before:
            flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS[name])
        logging.use_absl_handler()
        app.run(partial(_guarded, main, positional), flags_parser=_parse)


def _parse(argv: list[str]) -> list[str]:
    """Read the flags of a command line, and return the rest of it."""
    try:
        _respell(argv)
        rest = flags.FLAGS(argv)
    except SystemExit:  # `--version`, and `--help`, which absl ends as a failure.
        sys.exit(0)
    except UserError as error:
        _fail(error, error.exit_status)
    except KeyboardInterrupt:
        _interrupted()
    except flags.UnrecognizedFlagError as error:
        hint = _hint(error.flagname)
        _fail(hint or error, UserError.exit_status)
    # What flag libraries raise for a wrong name or value.
    except (flags.Error, ValueError, TypeError, AttributeError, KeyError) as error:
        _fail(error, UserError.exit_status)
    if flags.FLAGS["verbosity"].using_default_value:
        # absl's own default is INFO, at which libraries report every step of their work.
        flags.FLAGS.verbosity = logging.WARNING
    return rest


def _guarded(main: Callable[[Sequence[str]], None], positional: bool, argv: Sequence[str]) -> None:
    """Run `main(argv)`; what a user can mend ends it in one sentence."""
    try:
        if len(argv) > 1 and not positional:
            raise UserError(f"unexpected argument {argv[1]!r}: write options as --name=value.")
        main(argv)
    except UserError as error:
        _fail(error, error.exit_status)
    except KeyboardInterrupt:
        _interrupted()
    except Exception as error:
        if reason := _no_space(error):
            _tell(f"{reason}: make room and run the same command again.")
        elif reason := _no_place(error):
            _tell(f"{reason}: give another place, or change this one, and run it again.")
        elif reason := _no_memory(error):
            _tell(
                f"{reason}: end what else uses this memory, or take less at once (a smaller batch "
                "or model, recomputing by remat, more devices), and run it again."
            )
        else:
            traceback.print_exception(error)
        _leave(1)


class _VersionFlag(flags.BooleanFlag):
    """`--version`, which ends the command where it is parsed: whatever else may be missing."""

    def __init__(self) -> None:
        super().__init__("version", False, "Print the version and end.")

    def parse(self, argument: str | bool) -> None:
        if self._parse(argument):
            print(f"promptax {__version__}")
            sys.exit(0)


def _respell(argv: list[str]) -> None:
    """Write a command line in today's spelling, in place."""
    if "config" in flags.FLAGS:
        flags.FLAGS["config"].parser.respell(argv)


def _hint(name: str) -> str:
    """Return what to write for an unknown flag, if the parser of the config knows it."""
    if "config" not in flags.FLAGS:
        return ""
    return flags.FLAGS["config"].parser.hint(name)


def _no_space(error: BaseException | None) -> str | None:
    """Return what the system says of a full disk, if that is at the bottom of `error`."""
    while error is not None:
        # Libraries in other languages pass on the text alone.
        texts = [text for text in map(os.strerror, FULL) if text in str(error)]
        if texts:
            name = getattr(error, "filename", None)
            return f"{texts[0]} ({name})" if name else texts[0]
        error = error.__cause__ or error.__context__
    return None


def _no_place(error: BaseException) -> str | None:
    """Return what the system says of a place, if that is what failed."""
    if not isinstance(error, OSError) or error.errno not in PLACE or not error.filename:
        return None
    return f"{os.strerror(error.errno)} ({error.filename})"


def _no_memory(error: BaseException) -> str | None:
    """Return what JAX or NumPy says of memory, of a device or the host's, that is too small."""
    said = str(error).partition("\n")[0]  # XLA lists all buffers behind it.
    if isinstance(error, MemoryError):
        return said or "out of memory"
    exhausted = said.removeprefix("RESOURCE_EXHAUSTED: ")
    return exhausted.rstrip(".") if exhausted != said else None


def _interrupted() -> None:
    print("interrupted", file=sys.stderr)
    _leave(128 + signal.SIGINT)


def _fail(error: object, status: int) -> None:
    _tell(error)
    sys.exit(status)


def _tell(error: object) -> None:
    sentence = " ".join(str(error).split())
    print(f"error: {printable(sentence)}", file=sys.stderr)


def _leave(status: int) -> None:
    """End the program; in a cluster at once.

    At a usual exit JAX waits for the other processes, minutes long, and they wait for this one.
    """
    if in_cluster():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
