"""ProText (arXiv 2401.02418): prompts learned from text alone.

    python -m protext_jax.train --config=configs/protext.py --workdir=runs/protext
    python -m protext_jax.train \\
        --config=configs/protext.py:prompts.source=FILE.json,\\
model=openai/clip-vit-base-patch16,depth=9 --workdir=runs/mine
    python -m protext_jax.train --config=configs/protext.py:protocol=base_to_new,recipe=dtd \\
        --workdir=runs/dtd

Without an argument: the bundled pocket CLIP and world. With `prompts.source=FILE.json`, which holds
{class: [sentence, ...]}, nothing else is needed; give `data` to measure on pictures. All classes
and sentences of data of your own are learned from unless you say otherwise. With
`recipe=NAME`: the published settings for one of the paper's data sets.
"""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from common.config import apply_arg
from common.protocols.table import AUTO, BASE_TO_NEW
from protext_jax.recipes import recipe


def get_config(arg: str | Mapping[str, Any] | None = None) -> ConfigDict:
    """Return the default run, changed by `key=value,...` in `arg`."""
    config = defaults()
    apply_arg(config, arg)
    if config.recipe:
        protocol = BASE_TO_NEW if config.protocol == AUTO else config.protocol
        config.update_from_flattened_dict(recipe(config.recipe, protocol, config.recipe_from))
        apply_arg(config, arg)  # what the user wrote wins over the recipe
    return config


def defaults() -> ConfigDict:
    """Return every field with its default."""
    config = ConfigDict()
    config.method = "protext_jax:ProText"  # package:class, for commands of all methods
    config.recipe = ""  # name of one of the paper's data sets: takes the published settings
    config.recipe_from = "code"  # the reference's files; "paper" where the paper prints others
    config.protocol = "auto"  # base_to_new of known sets, else all_classes; see docs/protext.md
    config.seed = 0  # of the prompts' start and of the order of the sentences

    # What is learned from, and what is measured.
    config.model = "pocket"  # CLIP or SigLIP: "pocket", "pocket:siglip", a directory or a hub id
    config.image_size = 0  # side of its photos in pixels; 0: that of the weights
    config.prompts = ConfigDict()
    config.prompts.source = "pocket"  # or FILE.json (json:FILE), {class: [sentence, ...]}; .gz too
    config.prompts.pattern = "{phrase}"  # "{name}, which has {phrase}." for descriptors
    config.prompts.kind = "sentences"  # or templates, attributes: class names in many templates
    config.data = "auto"  # pictures to measure on; "none": text alone, the default with prompts
    config.targets = ("auto",)  # further data sets to measure on; none but for pocket sets
    config.holdout = 1  # photos per class kept for the test where a folder has no split
    config.names = ""  # JSON {class as spelled: name wanted}, e.g. for folders of WordNet ids
    config.held_out = -1  # sentences per class kept for text-only signals; -1: 2 of 10 or more
    config.held_out_classes = 0  # classes of which nothing is learned, for the same signals
    config.baselines = ("clip_80", "attributes", "waffle_clip", "cupl", "dclip")  # beside "clip"
    config.descriptors = ""  # JSON {class: [phrase, ...]}, for the DCLIP baseline
    config.words = ""  # JSON [word, ...], for WaffleCLIP's random words
    config.coop_shots = 0  # photos per class for CoOp, which learns from pictures; 0: without

    # The prompts.
    config.length = 4  # T, vectors per block; they stand on the template's first words
    config.depth = 3  # J, blocks with prompts of their own; the paper has 9 of 12
    config.template = ""  # "": "a photo of a {}." up to four vectors, else "X ... X {}."
    config.test_template = ""  # "": as the protocol says
    config.blend = 1.0  # share of the prompts in class features, rest CLIP's; -1: by held-out text
    config.mapping = "prompts"  # or "linear", "mlp": maps behind the tower (ablation)
    config.faithful = ConfigDict()
    config.faithful.underscores = False  # keep a key's underscores in training if T > 4
    config.faithful.half = False  # round deep prompts and their gradients to float16

    # The loss.
    config.loss = "l2"  # or "l1", "cosine", "contrastive"
    config.loss_weight = 0.0  # 0 takes the loss's own, 1000 for "l2"
    config.targets_of = "sentences"  # or "class_mean"

    # AdamW on the prompts alone; rates change per epoch.
    config.epochs = 300  # passes over the sentences; the first five hardly move (1e-5)
    config.updates = 0  # 0: as many as the epochs have
    config.batch = 256  # pairs
    config.learning_rate = 0.0025  # after five epochs at 1e-5, from where a cosine lowers it
    config.rate = ConfigDict()
    config.rate.schedule = "paper"  # by epoch, see there; or "constant", "cosine", "linear"
    config.rate.warmup = 0  # updates in which the rate rises linearly, but for "paper"
    config.rate.end = 0.0  # share of the rate that is left at the end, but for "paper"
    config.weight_decay = 0.1  # of AdamW, as the next two
    config.beta1 = 0.9  # of the gradient's running mean
    config.beta2 = 0.98  # of its square's

    # Several runs in one program, one for every combination of the grid's values.
    config.sweep = False  # true: train the grid, keep what does best on held-out sentences
    config.grid = ConfigDict()
    config.grid.learning_rate = (0.03, 0.0025)  # (): the run's own, as for the next two
    config.grid.epochs = (30, 100, 300)  # each run has the schedule of its own length
    config.grid.seed = (0,)  # of the prompts' start and of the order of the sentences

    # The program.
    config.fast = True  # the exact short cuts; false computes every pair at all positions
    config.dtype = "float32"  # of the frozen tower; "bfloat16"
    config.mesh = ConfigDict({"data": -1, "model": 1})  # devices on each axis; -1: all

    # The loop.
    config.steps_per_call = 10  # updates between two reports to the host
    config.log_every = 10  # steps whose means are a line of metrics.jsonl
    config.save_every = 100  # steps between two checkpoints
    config.eval_every = 0  # 0: at the end only
    config.early_stop = 0  # evaluations without a gain on held-out sentences that end a run; 0: off
    config.early_stop_gain = 0.005  # of their cosine, if no more of them find their class
    config.keep = 2  # checkpoints
    config.progress = True  # false: no bar
    config.profile = ""  # START:STOP: updates whose trace for XProf goes to WORKDIR/profile
    config.wandb = ""  # a project at Weights & Biases that is sent the metrics; "": none
    config.cache = "~/.cache/promptax/features"  # of texts and pictures, by their fingerprints
    config.compile_cache = "~/.cache/promptax/xla"  # of compiled programs; "": none
    return config
