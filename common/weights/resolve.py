"""From a model's name to a directory: bundled, local, or fetched from the model hub."""

from collections.abc import Sequence
from pathlib import Path

import common
from common.errors import UserError
from common.weights.files import weight_files

POCKET = Path(common.__file__).parent / "pocket" / "models"


def resolve(source: str, patterns: Sequence[str], weights: Sequence[str] = ()) -> Path:
    """Finds a model's directory.

    Args:
      source: "pocket" for the bundled models, a local directory, or a hub id `owner/name`.
      patterns: Shell patterns of the small files needed, relative to the directory.
      weights: Stems of the weight files needed, such as "unet/diffusion_pytorch_model". Of
        each, one form is fetched: safetensors, else sharded safetensors, else PyTorch's.

    Raises:
      UserError: There is no such directory, and the hub cannot give it; the message says what
        to download and where to put it.
    """
    if source == "pocket":
        return POCKET
    directory = Path(source).expanduser()
    if directory.is_dir():
        return directory
    if source.count("/") != 1 or source.startswith((".", "/", "~")):
        raise UserError(
            f"there is no model directory {source!r}; give a directory, a hub id such as "
            "'openai/clip-vit-base-patch16', or 'pocket'."
        )
    return _fetch(source, list(patterns), weights)


def _fetch(source: str, patterns: list[str], weights: Sequence[str]) -> Path:
    # Local models need no hub client.
    from huggingface_hub import snapshot_download

    forms = {stem: weight_files(stem) for stem in weights}
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
    return any((directory / form[0]).exists() for form in weight_files(stem))


def _unavailable(source: str, wanted: Sequence[str], reason: str) -> UserError:
    listed = " ".join(f"'{pattern}'" for pattern in wanted)
    return UserError(
        f"the model {source!r} is no local directory and the hub did not give it ({reason}). "
        "Without a network: on a machine that has one, run "
        f"`hf download {source} --include {listed} --local-dir DIR`, copy DIR here and give "
        "its path instead of the id."
    )
