"""Converts CLIP, Stable Diffusion or a GPT to safetensors in the published layout, and reports.

    python -m common.convert SOURCE OUT [--check]

SOURCE is a directory or a hub id: CLIP in Hugging Face's or open_clip's layout, SigLIP in Hugging
Face's, Stable Diffusion in diffusers', or GPT-2 or GPT-J in Hugging Face's; safetensors, sharded,
PyTorch's `.bin` or Flax's `.msgpack`. Or it is one file: OpenAI's `.pt`, open_clip's `epoch_N.pt`
(say --activation), big_vision's `.npz` of SigLIP, or a Stable Diffusion as web UIs use it (of 2.x,
say --prediction). OUT becomes a directory that this project and transformers or diffusers load (of
a CLIP with a ResNet: open_clip). Its `conversion.json` says where every key of the source went.

For example:

    python -m common.convert openai/clip-vit-base-patch16 weights/clip --check
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from common.errors import UserError, run_command
from common.files import write_json
from common.nesting import flatten
from common.paths import as_output_folder
from common.progress import say

REPORT = "conversion.json"
TOLERANCE = 1e-4
"""The relative error that `--check` allows: float32 through a full-size model."""


class ConversionDiffers(UserError):
    """What a converted model computes is not what PyTorch's does."""

    exit_status = 1  # The request was in order, and the files are written.


def convert(source: str, out: Path, **options: str) -> dict[str, Any]:
    """Convert a model and return the report, which `out/conversion.json` holds too.

    The weights keep their floating-point type; where the source mixes several, the widest.
    Options are the `activation` of `load_clip` or the `prediction` of `load_stable_diffusion`.

    Raises:
      UserError: The source is not such a model, keys or shapes do not fit it, or `out` holds
        files already.
    """
    # Imported once the flags are in order, so that help and mistakes show at once.
    import jax
    import jax.numpy as jnp

    from common.kinds import find_kind

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{str(out)!r} exists already; name a new directory for the result.")
    kind = find_kind(source)
    say(f"Loading {source}…")
    model = kind.load(source, **_options_for(kind.load, options))
    parts = kind.parts(source, model)
    dtypes = (x.dtype for part in parts if part.table for x in part.tensors.values())
    dtype = jnp.result_type(*{x for x in dtypes if jnp.issubdtype(x, jnp.floating)})
    params = jax.tree.map(lambda x: np.asarray(x, dtype), model.params)
    say(f"Writing {out}, and reading it back…")
    kind.save(dataclasses.replace(model, params=params), out)
    if kind.load(str(out)).fingerprint != model.fingerprint:
        raise RuntimeError(f"what was written to {str(out)!r} reads back differently")
    report = {
        "source": source,
        "fingerprint": model.fingerprint,
        "dtype": dtype.name,
        "parameters": sum(x.size for x in jax.tree.leaves(params)),
        "shapes": {path: x.shape for path, x in flatten(params).items()},
        "parts": {part.name: part.report() for part in parts},
    }
    write_json(out / REPORT, report)
    return report


def _options_for(load: Callable[..., Any], options: Mapping[str, str]) -> Mapping[str, str]:
    """Return the options, each of which `load` has to have."""
    known = inspect.signature(load).parameters
    if wrong := [name for name in options if name not in known]:
        raise UserError(f"--{wrong[0]} is not an option for this kind of model: leave it out.")
    return options


def summary(report: Mapping[str, Any]) -> str:
    """Return a line for each part, and one for the whole."""
    lines = [
        f"{name}: {len(part['keys'])} keys mapped, none left, {len(part['ignored'])} ignored"
        for name, part in report["parts"].items()
    ]
    size = f"{report['parameters']:,} parameters in {report['dtype']}"
    return "\n".join([*lines, f"{size}, fingerprint {report['fingerprint']}"])


def check(out: Path) -> dict[str, float] | str:
    """Compare a converted model with PyTorch's and print the relative errors.

    Returns:
      The errors, or the reason why there is nothing to compare with.

    Raises:
      ConversionDiffers: They exceed `TOLERANCE`.
    """
    # Imported once the flags are in order, so that help and mistakes show at once.
    from common.kinds import find_kind
    from common.torch_check import NotComparableError, torch_errors

    try:
        errors = torch_errors(find_kind(str(out)).load(str(out)), out)
    except NotComparableError as reason:
        print(f"not compared with PyTorch: {reason}")
        return str(reason)
    for name, error in errors.items():
        print(f"{name}: relative error {error:.1e} against PyTorch")
    # Written so that a NaN counts as too large.
    if wrong := [name for name, error in errors.items() if not error <= TOLERANCE]:
        raise ConversionDiffers(
            f"{' and '.join(wrong)} of {str(out)!r} differ from PyTorch's by more than "
            f"{TOLERANCE:.0e}: do not use the converted model."
        )
    return errors


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_bool("check", False, "compare the result with PyTorch, where installed")
    flags.DEFINE_enum(
        "activation",
        None,
        ["gelu", "quick_gelu"],
        "of a CLIP in one file that does not say it: gelu is open_clip's, quick_gelu OpenAI's",
    )
    flags.DEFINE_enum(
        "prediction",
        None,
        ["epsilon", "v_prediction"],
        "of a Stable Diffusion 2.x in one file: v_prediction is that of 768 pixels",
    )


def main(argv: Sequence[str]) -> None:
    """Convert, print the summary, and with --check compare."""
    if len(argv) != 3:
        raise UserError(
            f"{len(argv) - 1} arguments given, two needed: python -m common.convert SOURCE OUT."
        )
    source, out = argv[1], as_output_folder(argv[2], "OUT", local=True)
    asked = {name: flags.FLAGS[name].value for name in ("activation", "prediction")}
    report = convert(source, out, **{name: value for name, value in asked.items() if value})
    print(summary(report))
    if flags.FLAGS.check:
        say("Comparing with PyTorch…")
        write_json(out / REPORT, report | {"check": check(out)})


if __name__ == "__main__":
    run_command(main, define_flags, positional=True)
