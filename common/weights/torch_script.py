"""Programs in TorchScript, as OpenAI's own CLIP files are: their weights, without their code."""

from pathlib import Path
from typing import Any

import numpy as np

from common.errors import UserError
from common.text import shown
from common.weights.pickles import Placeholder

SCRIPT = ("__torch__", "torch.jit._pickle")
"""The modules of a program's classes, and of its typed lists."""

_MOST_NAMED = 2**16
_DEEPEST = 64


def is_script(content: Any) -> bool:
    """Return whether the content of an archive is a program in TorchScript."""
    return isinstance(content, Placeholder) and content.name.startswith(f"{SCRIPT[0]}.")


def module_tensors(path: Path, module: Placeholder) -> dict[str, np.ndarray]:
    """Return the tensors of a program's modules by the names of PyTorch's state dicts.

    Raises:
      UserError: Its modules hold each other again and again.
    """
    tensors: dict[str, np.ndarray] = {}
    modules, named = [("", module)], 0
    while modules:
        prefix, module = modules.pop()
        named += len(module)
        if named > _MOST_NAMED or prefix.count(".") > _DEEPEST:
            raise UserError(
                f"{shown(path)} is damaged (its modules hold each other without end); download "
                "it again."
            )
        for name, value in module.items():
            if isinstance(value, Placeholder):
                modules.append((f"{prefix}{name}.", value))
            elif isinstance(value, np.ndarray):
                tensors[f"{prefix}{name}"] = value
    return tensors
