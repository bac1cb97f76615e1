"""What parsers raise on files that are damaged, hostile or of another kind."""

import struct
import tokenize
import zipfile
import zlib

from common.text import shortened

DAMAGED: tuple[type[Exception], ...] = (
    OSError,  # a disk, a network, a name that the system refuses
    EOFError,
    ValueError,  # of JSON and Unicode, too
    TypeError,
    LookupError,  # a key, an index or a codec that is not there
    AttributeError,
    ArithmeticError,  # numbers too large for a C type
    AssertionError,
    RuntimeError,  # RecursionError and NotImplementedError, too
    MemoryError,  # a header that promises more than there is
    SyntaxError,  # of numpy's headers
    tokenize.TokenError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
    Warning,  # where a program makes errors of them
)
"""The one list of what reading a file may raise that is not what its name says."""


def cause(error: BaseException) -> str:
    """Return what an error says, on one short line."""
    return shortened(" ".join(str(error).split()) or type(error).__name__, 200)
