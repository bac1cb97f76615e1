"""Compiling a training step for TPUs that are not there: does it fit, and what does it send?"""

from common.lazy import lazily

__all__, __getattr__, __dir__ = lazily(
    __name__,
    {
        "common.aot.program": ("compile_for",),
        "common.aot.report": ("ProgramReport",),
        "common.aot.topology": ("DoesNotFit",),
    },
)
