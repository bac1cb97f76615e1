"""From a model's name to a directory: bundled, local, or fetched from the model hub."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import common
from common.errors import UserError
from common.text import shown
from common.weights.files import SUFFIXES, other_weight_files, weight_files
from common.weights.model_names import known_id, refuse_file

_ID = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}", re.ASCII)

POCKET = Path(common.__file__).parent / "pocket" / "models"
BUNDLED: Mapping[str, Path] = {"pocket": POCKET, "pocket:siglip": POCKET / "siglip"}
"""Directories of the bundled models by name; "pocket" has one for each kind of model."""


def resolve(source: str, patterns: Sequence[str], weights: Sequence[str] = ()) -> Path:
    """Find a model's directory.

    Args:
      source: A name of `BUNDLED`, a local directory, or a hub id `owner/name`.
      patterns: Shell patterns of the small files needed, relative to the directory.
      weights: Stems of the weight files needed, such as "unet/diffusion_pytorch_model". Of
        each, one form is fetched: safetensors, else sharded safetensors, else PyTorch's, else
        one of `other_weight_files`.

    Raises:
      UserError: There is no such directory, and the hub cannot give it; the message says what
        to download and where to put it.
    """
    if local := local_directory(source):
        return local
    if os.path.isfile(source):
        refuse_file(Path(source))
    if known := known_id(source):
        raise UserError(f"{shown(source)} is not a model's id here: write {known!r}.")
    if not _ID.fullmatch(source) or source.startswith((".", "/", "~")):
        raise UserError(
            f"there is no model directory {shown(source)}; give a directory, a hub id such as "
            "'openai/clip-vit-base-patch16', 'pocket' or 'pocket:siglip'."
        )
    return _fetch(source, list(patterns), weights)


def local_directory(source: str) -> Path | None:
    """Return the directory that a source names, if it needs no network.

    Any text may be given; for a name that no directory can have it is None.
    """
    if source in BUNDLED:
        return BUNDLED[source]
    try:
        directory = Path(os.path.expanduser(source))
    except ValueError:  # Of a name with NUL.
        return None
    return directory if source and os.path.isdir(directory) else None


def single_file(source: str) -> Path | None:
    """Return the file of weights that a source names, if it names one."""
    try:
        file = Path(os.path.expanduser(source))
    except ValueError:  # Of a name with NUL.
        return None
    return file if file.suffix in SUFFIXES and os.path.isfile(file) else None


def _fetch(source: str, patterns: list[str], weights: Sequence[str]) -> Path:
    # Local models need no hub client.
    from huggingface_hub import snapshot_download

    forms = {stem: weight_files(stem) + other_weight_files(stem) for stem in weights}
    wanted = patterns + [name for stem in weights for name in forms[stem][0]]
    try:
        directory = Path(snapshot_download(source, allow_patterns=wanted))
        for stem in weights:
            for form in forms[stem][1:]:
                if _holds(directory, stem):
                    break
                snapshot_download(source, allow_patterns=list(form))
    # For an unknown id as well as for a missing network, the client's errors are of these two.
    except (OSError, ValueError) as error:
        raise _unavailable(source, wanted, type(error).__name__) from error
    if absent := [stem for stem in weights if not _holds(directory, stem)]:
        raise _unavailable(source, wanted, f"no weights {', '.join(absent)}")
    return directory


def _holds(directory: Path, stem: str) -> bool:
    forms = weight_files(stem) + other_weight_files(stem)
    return any((directory / form[0]).exists() for form in forms)


def _unavailable(source: str, wanted: Sequence[str], reason: str) -> UserError:
    listed = " ".join(f"'{pattern}'" for pattern in wanted)
    return UserError(
        f"the model {shown(source)} is not a local directory and the hub did not give it "
        f"({reason}). Without a network: on a machine that has one, run "
        f"`hf download {source} --include {listed} --local-dir DIR`, copy DIR here and give "
        "its path instead of the id."
    )
