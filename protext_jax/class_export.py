"""Features of classes as a file, of a run or of a checkpoint of the released code."""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from common.clip import CLIP
from common.clip.class_file import write_class_features
from common.data.names import readable
from common.errors import UserError
from common.files import read_strings
from common.paths import AnyPath, as_path, on_disk
from common.precision import use_precision
from common.progress import say
from protext_jax.classifier import class_features
from protext_jax.learned import LearnedPrompts
from protext_jax.released import load_checkpoint


def read_class_names(file: str) -> list[str]:
    """Read a JSON list of names.

    Raises:
      UserError: It is something else, or a name has no letter.
    """
    names = read_strings(as_path(file), "give --classes=FILE, a JSON list of names")
    if empty := [name for name in names if not readable(name)]:
        raise UserError(
            f"--classes={file} has an empty name, {empty[0]!r}: give each class a name."
        )
    return names


def export(
    clip: CLIP,
    learned: LearnedPrompts,
    names: Sequence[str],
    template: str,
    out: Path,
) -> tuple[int, int]:
    """Write the features and return their shape.

    Raises:
      UserError: The model is another one, or the template does not fit the prompts.
    """
    learned.require_model(clip)
    features = class_features(clip, learned, template, names)
    write_class_features(out, features, names, {**learned.metadata, "template": template})
    return features.shape


def export_checkpoint(file: AnyPath, out: Path) -> None:
    """Write the features of a checkpoint of the released code, as the flags say."""
    options = flags.FLAGS
    if not (options.model and options.classes):
        raise UserError(
            f"{str(file)!r} names neither its CLIP nor its classes: give --model and --classes."
        )
    names = read_class_names(options.classes)
    with on_disk(file) as copy:
        trained = load_checkpoint(copy, options.model)
    use_precision(trained.config.dtype)
    template = options.template or trained.config.template
    shape = export(trained.clip, trained.prompts, names, template, out)
    say(f"wrote {out}: class_embeddings {shape}, template {template!r}")
