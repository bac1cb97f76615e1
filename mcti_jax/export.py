"""Writes the learned tokens of a training run as embeddings that other tools load as they are.

    python -m mcti_jax.export --workdir=DIR --format=diffusers|a1111|kohya --out=DIR2

One file per class; the word to type in a prompt is printed beside each file.

For example:

    python -m mcti_jax.export --workdir=runs/mcti --format=a1111 --out=embeddings
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from common.errors import UserError, run_command
from common.paths import AnyPath, as_path
from mcti_jax.formats import FORMATS, file_stem, read_tokens, write_token


def export(workdir: AnyPath, format: str, out: Path) -> dict[Path, str]:
    """Writes every token under `workdir/tokens` into the directory `out`.

    Returns:
      For each file written, what to type in which tool.

    Raises:
      UserError: There are no tokens, or `out` cannot take them. Bad input is noticed before
        anything is written.
    """
    source = workdir / "tokens"
    if not source.is_dir():
        raise UserError(
            f"{str(workdir)!r} holds no learned tokens; train some first with "
            f"python -m mcti_jax.train --workdir={workdir}."
        )
    if format not in FORMATS:
        raise UserError(f"--format={format} is unknown; choose one of {', '.join(FORMATS)}.")
    if out.exists() and not out.is_dir():
        raise UserError(f"--out={out} is a file; name a directory.")
    if out.resolve() == source.resolve():
        raise UserError(f"--out={out} holds the run's own tokens; name another directory.")

    tokens = read_tokens(source)
    words_of = Counter(file_stem(token.token) for token in tokens)
    if clash := [token.token for token in tokens if words_of[file_stem(token.token)] > 1]:
        raise UserError(f"the words {', '.join(clash)} would share a file; rename all but one.")
    usage = FORMATS[format].usage
    try:
        return {
            write_token(out, token, format): usage.format(
                token=token.token, stem=file_stem(token.token)
            )
            for token in tokens
        }
    except OSError as error:
        raise UserError(f"cannot write to --out={out}: {error.strerror}.") from error


def define_flags() -> None:
    """The command's options."""
    flags.DEFINE_string("workdir", None, "Folder of a finished training run.", required=True)
    flags.DEFINE_enum("format", "diffusers", list(FORMATS), "What the files are for.")
    flags.DEFINE_string("out", None, "Folder for the embeddings.", required=True)


def main(argv: Sequence[str]) -> None:
    """Runs the command."""
    del argv
    options = flags.FLAGS
    for path, usage in export(as_path(options.workdir), options.format, Path(options.out)).items():
        print(f"{path}: type {usage}")


if __name__ == "__main__":
    run_command(main, define_flags)
