"""Features of classes as a file, of a run or of a checkpoint of the released code."""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from common.clip import CLIP
from common.clip.class_file import write_class_features
from common.commands.classify import read_class_names
from common.errors import UserError
from common.paths import AnyPath, on_disk
from common.precision import use_precision
from common.progress import say
from protext_jax.classifier import class_features
from protext_jax.learned import LearnedPrompts
from protext_jax.released import load_checkpoint


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
