"""Publishes a finished run on the Hugging Face hub: what it learned, with a model card.

    python -m common.publish RUN --to=hf:USER/NAME [--dry-run] [--private] [--license=ID]
        [--model=PATH=OWNER/NAME] [--method=module:class]
    python -m common.publish RUN --to=FOLDER

The card says what was learned from, the figures of every evaluation, and how to load the run, here
and in other libraries. `generate`, `classify`, `evaluate` and `export` read it again by
`--workdir=hf:USER/NAME`. The upload is one commit, into a new repository that is open to all, or
with `--private` to you. `--dry-run`, or a folder in the place of the hub, writes the files and
uploads none; a dry run puts them into RUN/published.

Checkpoints, logs, pictures and photos are not published, nor are paths of this machine: of each the
last name is kept. A model that the run names by its path needs `--model`, its name on the hub. The
license is yours to give; for tokens of Stable Diffusion see the README. `--method` is for methods
of your own.

For example:

    python -m common.publish runs/mcti --to=hf:me/dogs --license=creativeml-openrail-m
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from common.errors import UserError, run_command
from common.files import read_json
from common.hub import HUB, local_run, parse_hub, require_upload, upload
from common.packages import package_of
from common.paths import AnyPath, as_output_folder, in_bucket, place_text
from common.progress import say
from common.text import quoted

PUBLISHED = "published"
"""The folder of a dry run, in that of the run."""


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("to", None, "hf:USER/NAME, or a new folder.", required=True)
    flags.DEFINE_boolean("dry-run", False, "Write the files into RUN/published; upload none.")
    flags.DEFINE_boolean("private", False, "Whether a new repository is yours alone.")
    flags.DEFINE_string("license", "", "What the card says, as the hub calls it, e.g. mit.")
    flags.DEFINE_multi_string("model", [], "PATH=OWNER/NAME: what the hub calls a local model.")
    flags.DEFINE_string("method", None, "As module:class, where it is none of this library's.")


def find_run_method(workdir: AnyPath, name: str | None) -> type[Any]:
    """Return the method of a run; what its folder says is imported only if it is ours.

    Raises:
      UserError: It is not, and no name is given.
    """
    # Methods take seconds to import.
    from common.training.method import method_class

    file = workdir / "config.json"
    if not file.exists():
        raise UserError(f"{workdir} holds no run: there is no {file.name} in it.")
    said = read_json(file).get("method")
    if name is None and package_of(said) is None:
        raise UserError(
            f"{workdir} is of the method {quoted(said)}, which is not of this library: name it by "
            "--method=module:class."
        )
    return method_class(name or said)


def publish(
    run: AnyPath | str,
    to: AnyPath | str,
    *,
    dry_run: bool = False,
    private: bool = False,
    license: str = "",
    models: Sequence[str] = (),
    method: str | None = None,
) -> str:
    """Publish a run, or write what would be published, and return where it is.

    Args:
      run: The folder of a finished run.
      to: `hf:USER/NAME`, or a new folder.
      dry_run: Whether to write `RUN/published` alone.
      private: Whether a new repository is its owner's alone.
      license: For the card.
      models: "PATH=OWNER/NAME" for each model that the run names by a path.
      method: As module:class, where it is not one of this library's.

    Raises:
      UserError: The run is not finished, cannot be given away as it is, or the hub refuses it.
    """
    # Imported once the flags are in order, so that help and mistakes show at once.
    from common.publishing import write_publication
    from common.training.method import read_run_config

    workdir, to = local_run(run), place_text(to, "to")
    repository, revision = parse_hub(to) if to.startswith(HUB) else ("USER/NAME", None)
    if revision:
        raise UserError(f"--to={to} names a revision, which the hub gives: leave it out.")
    folder = _folder(workdir, to, dry_run)
    if folder is None:
        require_upload()
    chosen = find_run_method(workdir, method)
    _, config = read_run_config(workdir, (chosen,))
    with tempfile.TemporaryDirectory(dir=folder and folder.parent) as temporary:
        made = Path(temporary) / "run"
        made.mkdir()
        files = write_publication(
            chosen,
            config,
            workdir,
            made,
            repository=repository,
            models=dict(_model(text) for text in models),
            license=license,
        )
        for file in files:
            say(f"{file.stat().st_size:>10,} bytes  {file.relative_to(made).as_posix()}")
        if folder is None:
            return upload(made, repository, private=private)
        os.replace(made, folder)
        return str(folder)


def _folder(workdir: AnyPath, to: str, dry_run: bool) -> Path | None:
    """Return the folder to be written; None if it is the hub."""
    if to.startswith(HUB):
        if not dry_run:
            return None
        if in_bucket(workdir):
            raise UserError("a dry run of a run in a bucket needs a folder here: give --to=FOLDER.")
        folder = as_output_folder(workdir / PUBLISHED, "--to", local=True)
    else:
        folder = as_output_folder(to, "--to", local=True)
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there already and is left alone: give a new folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    return folder


def _model(text: str) -> tuple[str, str]:
    path, equals, name = text.rpartition("=")
    if not equals or not path:
        raise UserError(f"--model={text} is not PATH=OWNER/NAME.")
    return path, parse_hub(name)[0]


def main(argv: Sequence[str]) -> None:
    """Publish the run that is named."""
    options = flags.FLAGS
    if len(argv) != 2:
        raise UserError("name one run: python -m common.publish RUN --to=hf:USER/NAME.")
    dry_run = options["dry-run"].value
    where = publish(
        argv[1],
        options.to,
        dry_run=dry_run,
        private=options.private,
        license=options.license,
        models=options.model,
        method=options.method,
    )
    say(f"published: {where}" if options.to.startswith(HUB) and not dry_run else where)


if __name__ == "__main__":
    run_command(main, define_flags, positional=True)
