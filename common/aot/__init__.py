"""Compiling a training step for TPUs that are not there: does it fit, and what does it send?"""

from common.aot.program import compile_for as compile_for
from common.aot.report import ProgramReport as ProgramReport
from common.aot.topology import DoesNotFit as DoesNotFit
