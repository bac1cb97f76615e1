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
from dataclasses import replace

from absl import flags

from common.errors import run_command
from common.hub import local_run
from common.lazy import lazily
from common.paths import as_output
from common.progress import say

__all__, __getattr__, __dir__ = lazily(
    __name__,
    {
        "common.commands.classify": ("read_class_names",),
        "protext_jax.class_export": ("export",),
    },
)


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("workdir", None, "Folder of a training run.", required=True)
    flags.DEFINE_string("out", None, "The safetensors file to write.", required=True)
    flags.DEFINE_string("classes", None, "JSON list of class names; by default the learned ones.")
    flags.DEFINE_string(
        "template", None, "With {} for the name; by default as the run is measured."
    )
    flags.DEFINE_string("model", None, "The CLIP that was trained with, if it has moved.")
    flags.DEFINE_integer("run", None, "Of a sweep: which of its runs.", lower_bound=0)


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    # Imported once the flags are in order, so that help and mistakes show at once.
    from common.clip import load_clip
    from common.commands.classify import read_class_names
    from common.precision import use_precision
    from protext_jax.class_export import export, export_checkpoint
    from protext_jax.files import write_latest
    from protext_jax.trained import load

    del argv
    options = flags.FLAGS
    workdir = local_run(options.workdir)
    out = as_output(options.out, "--out", ".safetensors")
    if workdir.is_file():
        export_checkpoint(workdir, out)
        return
    if not (workdir / "result.json").exists():
        write_latest(workdir, options.run)
        say(f"wrote {workdir / 'prompts.safetensors'} of the newest checkpoint")
    run = load(workdir, options.run)
    config = run.config
    use_precision(config.dtype)
    model = options.model or config.model
    run = replace(run, model=load_clip(model, config.dtype, image_size=config.image_size))
    # As `classify` does: the classes and the template that the run is measured with.
    names = read_class_names(options.classes) if options.classes else run.classnames
    template = options.template or (run.any_template if options.classes else run.template)
    shape = export(run.clip, run.prompts, names, template, out)
    say(f"wrote {out}: class_embeddings {shape}, template {template!r}")


if __name__ == "__main__":
    run_command(main, define_flags)
