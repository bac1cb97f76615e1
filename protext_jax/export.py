"""Writes the features of class names behind learned prompts, for any pipeline of the same CLIP.

    python -m protext_jax.export --workdir=DIR --out=FILE.safetensors
        [--classes=FILE.json] [--template="a photo of a {}."] [--model=MODEL] [--run=N]

The file holds `class_embeddings` `[C, D]` at unit length, in the order of the names, and the names
as JSON in its metadata; a classifier is `image_features @ class_embeddings.T`. For a run that
is not finished, the prompts of its newest checkpoint are taken and also written to DIR. DIR may
be a checkpoint of ProText's own code or of CoOp's (`model.pth.tar-N`), with --model and --classes.

For example:

    python -m protext_jax.export --workdir=runs/protext --out=classes.safetensors
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict

from common.clip import load_clip
from common.clip.class_file import write_class_features
from common.errors import UserError, run_command
from common.files import read_strings
from common.hub import local_run
from common.paths import AnyPath, as_output, as_path, on_disk
from common.precision import frozen_dtype, use_precision
from common.training import say
from protext_jax.classifier import class_features
from protext_jax.classnames import open_named
from protext_jax.files import LearnedPrompts, read_run_prompts, write_latest
from protext_jax.released import load_checkpoint
from protext_jax.training_texts import NO_IMAGES, open_corpus


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("workdir", None, "Folder of a training run.", required=True)
    flags.DEFINE_string("out", None, "The safetensors file to write.", required=True)
    flags.DEFINE_string("classes", None, "JSON list of class names; the run's own by default.")
    flags.DEFINE_string("template", None, "With {} for the name; that of training by default.")
    flags.DEFINE_string("model", None, "The CLIP that was trained with, if it has moved.")
    flags.DEFINE_integer("run", None, "Of a sweep: which of its runs.", lower_bound=0)


def class_names(config: ConfigDict, file: str | None) -> list[str]:
    """Return the names in the JSON list `file`, else those of the run's data set or corpus."""
    if file:
        return read_strings(as_path(file), "give --classes=FILE, a JSON list of names")
    if config.data == NO_IMAGES:
        return list(open_corpus(config, ()))
    return list(open_named(config.data, config.holdout, config.names).classnames)


def export(
    learned: LearnedPrompts, model: str, dtype: str, names: Sequence[str], template: str, out: Path
) -> tuple[int, int]:
    """Write the features and return their shape.

    Raises:
      UserError: The model is another one, or the template does not fit the prompts.
    """
    clip = load_clip(model, frozen_dtype(dtype))
    learned.require_model(clip)
    features = class_features(clip, learned, template, names)
    write_class_features(out, features, names, {**learned.metadata, "template": template})
    return features.shape


def _export_checkpoint(file: AnyPath, out: Path) -> None:
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
    shape = export(trained.prompts, options.model, trained.config.dtype, names, template, out)
    say(f"wrote {out}: class_embeddings {shape}, template {template!r}")


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    del argv
    options = flags.FLAGS
    workdir = local_run(options.workdir)
    out = as_output(options.out, "--out")
    if workdir.is_file():
        _export_checkpoint(workdir, out)
        return
    if not (workdir / "result.json").exists():
        write_latest(workdir, options.run)
        say(f"wrote {workdir / 'prompts.safetensors'} of the newest checkpoint")
    config, learned = read_run_prompts(workdir, options.run)
    use_precision(config.dtype)
    names = class_names(config, options.classes)
    template = options.template or learned.metadata["template"]
    shape = export(learned, options.model or config.model, config.dtype, names, template, out)
    say(f"wrote {out}: class_embeddings {shape}, template {template!r}")


if __name__ == "__main__":
    run_command(main, define_flags)
