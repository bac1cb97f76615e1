"""Runs on the Hugging Face hub: `hf:USER/NAME` in the place of a run's folder, and uploads."""

import re
from pathlib import Path

from common.damage import cause
from common.errors import UserError
from common.paths import AnyPath, as_path, place_text
from common.text import shown

HUB = "hf:"

KEPT = ("*.json", "*.safetensors", "README.md")
"""What a published run consists of, and all that is fetched of a repository."""

_NAME = re.compile(r"([\w.-]{1,96}/[\w.-]{1,96})(?:@([\w./-]{1,96}))?", re.ASCII)


class UploadError(UserError):
    """The hub refused what was otherwise in order."""

    exit_status = 1


def parse_hub(spelling: str) -> tuple[str, str | None]:
    """Return the repository and the revision, if any, of `hf:USER/NAME[@REVISION]`.

    Raises:
      UserError: It is something else.
    """
    match = _NAME.fullmatch(spelling.removeprefix(HUB))
    if not match or any(part.strip(".") == "" for part in match[1].split("/")):
        raise UserError(f"{shown(spelling)} is not a run on the hub: write hf:USER/NAME.")
    return match[1], match[2]


def local_run(spelling: AnyPath | str) -> AnyPath:
    """Return the folder of a run: what `hf:USER/NAME` names is fetched into the hub's cache.

    Any other spelling is as of `as_path`.

    Raises:
      UserError: The repository is neither in the cache nor to be had.
    """
    spelling = place_text(spelling, "the run")
    if not spelling.startswith(HUB):
        return as_path(spelling)
    repository, revision = parse_hub(spelling)
    from huggingface_hub import snapshot_download  # Runs in folders need no client.

    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=[*KEPT]))
    # For an unknown name as well as for a missing network, the client's errors are of these two.
    except (OSError, ValueError) as error:
        raise UserError(
            f"{spelling} is not in the hub's cache and the hub did not give it "
            f"({type(error).__name__}): check the name, `hf auth login` if it is private, and "
            "without a network copy the run's folder here and give its path."
        ) from error


def require_upload() -> None:
    """Check that something can be uploaded from here, before time is spent.

    Raises:
      UserError: There is no token, or the hub is switched off.
    """
    from huggingface_hub import constants, get_token

    if constants.HF_HUB_OFFLINE:
        raise UserError("HF_HUB_OFFLINE is set, so nothing can be uploaded: unset it.")
    if not get_token():
        raise UserError(
            "there is no token for the hub: log in with `hf auth login`, or set HF_TOKEN to a "
            "token that may write."
        )


def upload(folder: Path, repository: str, *, private: bool = False) -> str:
    """Upload a folder as one commit and return where it is to be seen.

    The repository is made if there is none. Files of its sub-folders that an earlier run left
    there go in the same commit.

    Raises:
      UploadError: The hub refuses, or cannot be reached.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    stale = [f"{entry.name}/*" for entry in sorted(folder.iterdir()) if entry.is_dir()]
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            commit_message="Publish a run",
            delete_patterns=stale,
        )
    except (OSError, ValueError) as error:
        raise UploadError(
            f"the hub did not take {repository} ({cause(error)}): see that the token may write "
            "there, and run the same command again."
        ) from error
    return str(commit.repo_url)
