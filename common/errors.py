"""Mistakes that a user can mend, and how every command reports them."""

import sys
from collections.abc import Callable, Sequence

from absl import app, flags, logging


class UserError(Exception):
    """One clear sentence that names the offending value and the remedy."""


def run_command(main: Callable[[Sequence[str]], None]) -> None:
    """Runs `main(argv)` as a command: bad input ends in one sentence and exit status 2.

    Flags are parsed before `main` starts, so a misspelt flag costs no time. Anything that is
    not a `UserError` is a defect of ours and keeps its traceback.
    """

    def parse(argv: list[str]) -> list[str]:
        try:
            return flags.FLAGS(argv)
        except (flags.Error, UserError, OSError, ValueError, AttributeError, KeyError) as error:
            _fail(error)

    def guarded(argv: Sequence[str]) -> None:
        if len(argv) > 1:
            _fail(f"unexpected argument {argv[1]!r}: options are written --name=value.")
        try:
            main(argv)
        except UserError as error:
            _fail(error)

    logging.use_absl_handler()
    app.run(guarded, flags_parser=parse)


def _fail(error: object) -> None:
    sentence = " ".join(str(error).split())
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(2)
