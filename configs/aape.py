"""AAPE (arXiv 2410.23698) for few-shot classification.

    python -m aape_jax.train --config=configs/aape.py --workdir=runs/aape
    python -m aape_jax.train --config=configs/aape.py:recipe=dtd --workdir=runs/dtd
    python -m aape_jax.train --config=configs/aape.py:recipe=imagenet,\\
protocol=domain_generalisation --workdir=runs/imagenet
    python -m aape_jax.train --config=configs/aape.py:model=,data=features:my.npz,\\
prompts.source=features:my_texts.npz --workdir=runs/mine

Without an argument: the bundled CLIP, pictures and sentences, a minute on a laptop. With
`recipe=NAME`: CLIP ViT-B/16 and the paper's protocol on one of its data sets; the sentences are
files of yours, e.g. CuPL's, which carry no licence and are not shipped. `recipe`, `protocol` and
`preset` set other fields, so they are written behind the colon. Of data of your own all classes
and photos are learned from unless you say otherwise.
"""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from aape_jax.classification.recipes import recipe
from aape_jax.core.presets import preset
from common.config import apply_arg


def get_config(arg: str | Mapping[str, Any] | None = None) -> ConfigDict:
    """Return the default run, changed by `key=value,...` in `arg`."""
    config = defaults()
    apply_arg(config, arg)
    config.update_from_flattened_dict(recipe(config.recipe, config.protocol))
    config.update_from_flattened_dict(dict(preset(config.preset)))
    return apply_arg(config, arg)  # what the user wrote wins


def defaults() -> ConfigDict:
    """Return every field with its default."""
    config = ConfigDict()
    config.method = "aape_jax:Classification"  # package:class
    config.preset = "residual"  # projection, paper, full_fc, adapter_projection: core/presets.py
    config.recipe = ""  # one of the paper's data sets: see aape_jax/classification/recipes.py
    config.protocol = "auto"  # one of common/protocols/table.py: sets subsample, targets
    config.seed = 0  # of the heads' start and of the order of the photos

    # What is learned from, and what is measured.
    config.model = "pocket"  # CLIP or SigLIP; empty where data and prompts are features
    config.image_size = 0  # side of its photos in pixels; 0: that of the weights
    config.data = "pocket:rare"  # photos, or features:FILE.npz
    config.targets = ()  # further data sets to measure on, each over its own classes
    config.classes = 0  # for `common.aot`: the number of classes; 0 opens the data and counts
    config.subsample = "auto"  # all; base: the first half, tested on both; new; auto: base or all
    config.shots = -1  # photos per class; 0 takes all; -1: 16 of the papers' sets, else all
    config.shots_seed = 1  # which photos; the papers average over 1, 2, 3
    config.holdout = 1  # photos per class kept for the test where a folder has no split
    config.views = 1  # cached views of each photo; further ones are random crops and flips

    # Reference prompts: of training, and of class features where classifier.classes says so.
    config.prompts = ConfigDict()
    config.prompts.source = "pocket"  # or FILE.json (json:FILE), features:FILE.npz, none
    config.prompts.aliases = ""  # JSON file, class name -> its key in the source
    config.prompts.per_template = 10  # of each ten sentences, 1 to 10
    config.prompts.seed = 0  # which of them
    config.prompts.padded = 20  # for `common.aot`: prompts of the class that has most

    config.aggregator = aggregator()

    # The generator h and the projection g.
    config.generator = ConfigDict()
    config.generator.hidden = 256  # 0: a sixteenth of the joint width
    config.generator.bias = False  # true: both layers have one
    config.generator.residual = "image"  # h(x) = x + MLP(x); "none": MLP(x)
    config.projection = ConfigDict()
    config.projection.kind = "bottleneck"  # or fc
    config.projection.hidden = 32  # width of the bottleneck
    config.projection.activation = "relu"  # "none" makes g linear
    config.projection.out_relu = False  # true: a ReLU on the result
    config.projection.residual_alpha = 0.2  # 1 keeps nothing of the class feature
    config.projection.residual = "mix"  # (1 - alpha) w + alpha g; "add": w + alpha g
    config.projection.zero_init = True  # the last layer starts at zero: zero-shot CLIP
    config.projection.identity_init = False  # of fc: starts at g = w
    config.classifier = ConfigDict()
    config.classifier.mode = "aape_only"  # of h(x); or template_and_aape, with g; template_only
    config.classifier.blend = 0.7  # of aape_only: share of h(x) in what asks once trained; rest x
    config.classifier.template = "plain"  # "a photo of a {}"; or "coop", or the text itself
    config.classifier.classes = "sentences"  # w_c: their mean; template: its feature; mix: both

    config.loss = loss()
    config.loss["lambda"] = 1.0  # of the distillation

    # CoOp's optimizer, but for the rate, which the preset sets.
    config.optimizer = "sgd"  # or adamw
    config.learning_rate = 2e-3  # after the warm-up, from where a cosine lowers it by epoch
    config.momentum = 0.9  # of sgd
    config.weight_decay = 5e-4  # of sgd as part of the gradient, of adamw decoupled
    config.warmup_epochs = 1  # of "paper" below, at the constant rate warmup_rate
    config.warmup_rate = 1e-5  # in these epochs
    config.rate = ConfigDict()
    config.rate.schedule = "paper"  # CoOp's cosine by epoch; or "constant", "cosine", "linear"
    config.rate.warmup = 0  # updates in which the rate rises linearly, but for "paper"
    config.rate.end = 0.0  # share of the rate that is left at the end, but for "paper"
    config.batch = 32  # photos
    config.schedule = "counts"  # as below; "short" (10 epochs), "coop" (50 to 200) set these five
    config.updates = 300  # steps of the optimizer
    config.steps_per_call = 6  # updates between two reports to the host; an epoch
    config.log_every = 6  # steps whose means are a line of metrics.jsonl
    config.save_every = 60  # steps between two checkpoints
    config.eval_every = 0  # 0: at the end only

    # What is trained and measured beside it; paper always is.
    config.compare = ("no_distillation", "with_g", "mean_prompt")  # see aape_jax/core/presets.py
    config.baselines = (
        "coop",
        "cocoop",
        "clip_adapter",
        "tip_adapter",
        "tip_adapter_f",
        "linear_probe",
        "nearest_class_mean",
    )  # in this order, behind clip and cupl
    config.pictures = 4  # training photos whose prompts are drawn, ranked by attention

    # The program.
    config.dtype = "auto"  # of frozen networks: bfloat16 on accelerators, float32 on CPU
    config.mesh = ConfigDict({"data": -1, "model": 1})  # devices on each axis; -1: all
    config.keep = 2  # checkpoints
    config.progress = True  # false: no bar
    config.profile = ""  # START:STOP: updates whose trace for XProf goes to WORKDIR/profile
    config.wandb = ""  # a project at Weights & Biases that is sent the metrics; "": none
    config.cache = "~/.cache/promptax/features"  # of photos and texts, by their fingerprints
    config.compile_cache = "~/.cache/promptax/xla"  # of compiled programs; "": none
    return config


def aggregator() -> ConfigDict:
    """The aggregator: n prompts to one, with the image's help."""
    config = ConfigDict()
    config.kind = "anchored"  # or paper, mean, random, mlp
    config.heads = 1  # of the anchored and the paper form
    config.init_scale = 100.0  # of the anchored form's softmax
    config.token = "class"  # whose the paper form's learnable token is; image, none
    config.ffn_mult = 4  # paper form
    config.norm = "pre"  # paper form; post, none
    config.mlp_hidden = 32  # mlp form
    config.num_outputs = 1  # m, aggregated prompts
    config.reward_scale = 2.5  # s of the CLIP score
    config.reward_clamp = True  # negative cosines count as zero
    config.reward_weight = 1.0  # of the CLIP score in the aggregator's loss
    config.anchor_weight = 0.0  # holds p_a near the mean prompt
    config.rate_factor = 1.0  # of the learning rate
    return config


def loss() -> ConfigDict:
    """task + lambda * distill."""
    config = ConfigDict()
    config.distill = True  # false: the task alone
    config["lambda"] = 5.0  # of the distillation
    config.distance = "sq_l2"  # or l2, l1, cos
    config.normalize_target = True  # p_a at unit length
    config.normalize_pred = False  # h(x) at unit length
    config.reduce = "sum"  # over dimensions, or mean
    config.distill_stop_grad = True  # false: the distillation trains the aggregator, too
    config.tau = 0.01  # CLIP's temperature
    return config
