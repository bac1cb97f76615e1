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

    wanted = patterns + [name for stem in weights for name in weight_files(stem)[0]]
    listed = wanted if weights else [*wanted, "'*.safetensors'"]
    try:
        directory = Path(snapshot_download(source, allow_patterns=wanted))
        for stem in weights:
            for form in weight_files(stem)[1:]:
                if any((directory / forms[0]).exists() for forms in weight_files(stem)):
                    break
                snapshot_download(source, allow_patterns=list(form))
    # The hub client raises its own, requests' and httpx's errors, all of them OSError or
    # ValueError, for an id that does not exist as well as for a missing network.
    except (OSError, ValueError) as error:
        raise UserError(
            f"the model {source!r} is no local directory and the hub did not give it "
            f"({type(error).__name__}). Without a network: on a machine that has one, run "
            f"`hf download {source} --include {' '.join(listed)} --local-dir DIR`, copy DIR "
            "here and give its path instead of the id."
        ) from error
    return directory
