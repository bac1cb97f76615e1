"""Features of classes as a file, of a run or of a checkpoint of the released code."""

from collections.abc import Sequence
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict

from common.clip import CLIP
from common.clip.class_file import write_class_features
from common.errors import UserError
from common.files import read_strings
from common.paths import AnyPath, as_path, on_disk
from common.precision import use_precision
from common.progress import say
from common.protocols.class_parts import dataset_parts
from protext_jax.classifier import class_features
from protext_jax.classnames import open_named
from protext_jax.files import LearnedPrompts
from protext_jax.released import load_checkpoint
from protext_jax.training_texts import NO_IMAGES, open_corpus


def class_names(config: ConfigDict, file: str | None) -> list[str]:
    """Return the names in the JSON list `file`, else those of the classes that the run learned.

    A data set says them, of `base_to_new` its base half; without one they are the corpus' keys.
    """
    if file:
        return read_strings(as_path(file), "give --classes=FILE, a JSON list of names")
    if config.data == NO_IMAGES:
        return list(open_corpus(config, ()))
    dataset = open_named(config.data, config.holdout, config.names)
    learned, *_ = dataset_parts(dataset, config.protocol).values()
    return list(learned.classnames)


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
    names = read_strings(as_path(options.classes), "give --classes=FILE, a JSON list of names")
    with on_disk(file) as copy:
        trained = load_checkpoint(copy, options.model)
    use_precision(trained.config.dtype)
    template = options.template or trained.config.template
    shape = export(trained.clip, trained.prompts, names, template, out)
    say(f"wrote {out}: class_embeddings {shape}, template {template!r}")
