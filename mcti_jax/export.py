"""Writes the learned tokens of a training run as embeddings for other tools.

    python -m mcti_jax.export --workdir=DIR --out=DIR2 [--format=diffusers|a1111|kohya|bin]
        [--prefix=TEXT]
    python -m mcti_jax.export --workdir=DIR --out=DIR2 --format=classes

One file per class; the word to type in a prompt is printed beside each file. For a run that is not
finished, the tokens of its newest checkpoint are written; without `--out` they go to `DIR/tokens`,
where `mcti_jax.generate` finds them.

`--format=classes` writes `DIR2/classes.safetensors` instead: `class_embeddings` `[C, D]`, the
features by which a finished run classifies, for any pipeline of the same CLIP.

Web UIs take a file's name as the word: the token of a class `dog` would replace every "dog" of a
prompt. `--prefix=my-` makes the word `my-dog`.

For example:

    python -m mcti_jax.export --workdir=runs/mcti --format=a1111 --out=embeddings
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from absl import flags

from common.choices import check_choice
from common.diffusion.words import word_stem
from common.errors import UserError, run_command
from common.hub import local_run
from common.paths import AnyPath, as_output_folder, as_path, within
from common.progress import say
from mcti_jax.formats import (
    FORMATS,
    LearnedToken,
    file_stem,
    format_of,
    require_usable,
    token_word,
    write_token,
)
from mcti_jax.saving import TOKENS, is_unfinished, read_run_tokens

_OURS = "diffusers"  # the format of a run's own `tokens/`
CLASSES = "classes"
"""What is written of all tokens together: the classifier that they make."""


def export(workdir: AnyPath, format: str, out: AnyPath | None, prefix: str = "") -> dict:
    """Write every token of a run into the directory `out`, and say which tool cannot read them.

    Args:
      workdir: Folder of the run.
      format: A key of `FORMATS`.
      out: Folder for the files; None is the run's own `tokens/`, if the run is not finished.
      prefix: What the words and the files' names are to begin with.

    Returns:
      For each file written, what to type in which tool.

    Raises:
      UserError: There are no tokens, or `out` cannot take them. Bad input is noticed before
        anything is written.
    """
    check_choice("--format", format, FORMATS)
    source = workdir / TOKENS
    unfinished = is_unfinished(workdir)
    out = _check_out(source, out, unfinished and format == _OURS and not prefix)
    tokens = _unfinished(workdir) if unfinished else _finished(workdir)
    tokens = [_prefixed(token, prefix) for token in tokens] if prefix else tokens
    words_of = Counter(file_stem(token.token) for token in tokens)
    if clash := [token.token for token in tokens if words_of[file_stem(token.token)] > 1]:
        raise UserError(f"the words {', '.join(clash)} would share a file; rename all but one.")
    layouts = [format_of(token, format) for token in tokens]
    for note in dict.fromkeys(layout.note for layout in layouts if layout.note):
        say(note)
    return {
        write_token(out, token, format): layout.usage.format(
            token=token.token, stem=file_stem(token.token)
        )
        for token, layout in zip(tokens, layouts, strict=True)
    }


def export_classes(workdir: AnyPath, out: AnyPath) -> AnyPath:
    """Write the features of a run's classes into the directory `out` and return the file.

    Raises:
      UserError: The run is not finished, or `out` cannot take them.
    """
    # Models take seconds to import, and the other formats need none.
    from common.clip.class_file import NAME, write_class_features
    from mcti_jax.trained import load

    file = as_output_folder(out, "--out") / NAME
    learned = load(workdir)
    metadata = {"clip": learned.config.clip, "fingerprint": learned.clip.fingerprint}
    write_class_features(file, learned.class_features, learned.classnames, metadata)
    return file


def _check_out(tokens: AnyPath, out: AnyPath | None, may_be_own: bool) -> AnyPath:
    """Return where the files go; `tokens` is the run's `tokens/`."""
    if out is None:
        if may_be_own:
            return within(tokens.parent, tokens.name)
        raise UserError("missing --out: name a directory for the embeddings.")
    as_output_folder(out, "--out")
    if out.resolve() == tokens.resolve() and not may_be_own:
        raise UserError(f"--out={out} holds the run's own tokens; name another directory.")
    return out


def _finished(workdir: AnyPath) -> list[LearnedToken]:
    tokens = read_run_tokens(workdir)
    if (workdir / "config.json").exists():
        # What follows takes seconds to import, and other tokens have no model to fit.
        from common.config import read_config
        from common.diffusion.known import local_text_widths
        from configs.mcti import defaults

        model = read_config(workdir, defaults()).model
        require_usable(tokens, local_text_widths(model) or tokens[0].widths, model)
    return tokens


def _unfinished(workdir: AnyPath) -> list[LearnedToken]:
    from common.config import read_config
    from configs.mcti import defaults
    from mcti_jax.unfinished import unfinished_tokens

    return unfinished_tokens(workdir, read_config(workdir, defaults()))


def _prefixed(token: LearnedToken, prefix: str) -> LearnedToken:
    """Return the token under a name that begins with `prefix`."""
    stem = file_stem(token.token)
    word = token_word(f"{prefix}{stem}")
    if not word_stem(prefix) or not word.endswith(f"{stem}>"):
        raise UserError(
            f"--prefix={prefix} and {stem!r} make no word for a file: give a few letters."
        )
    return replace(token, token=word, spellings=())


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("workdir", None, "Folder of a training run.", required=True)
    flags.DEFINE_string("format", _OURS, "What the files are for, or classes.")
    flags.DEFINE_string("out", None, "Folder for the embeddings.")
    flags.DEFINE_string("prefix", "", 'What words and files begin with, e.g. "my-".')


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    del argv
    options = flags.FLAGS
    check_choice("--format", options.format, (*FORMATS, CLASSES))
    out = None if options.out is None else as_path(options.out)
    if options.format == CLASSES:
        if out is None:
            raise UserError("missing --out: name a folder for classes.safetensors.")
        if options.prefix:
            raise UserError(
                f"--prefix={options.prefix} begins words, and --format={CLASSES} writes none: "
                "leave it out."
            )
        say(f"wrote {export_classes(local_run(options.workdir), out)}")
        return
    written = export(local_run(options.workdir), options.format, out, options.prefix)
    for path, usage in written.items():
        say(f"{path}: type {usage}")


if __name__ == "__main__":
    run_command(main, define_flags)
