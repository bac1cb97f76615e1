"""AAPE (arXiv 2410.23698) for few-shot classification.

    python -m aape_jax.train --config=configs/aape.py --workdir=runs/aape
    python -m aape_jax.train --config=configs/aape.py:paper=flowers --workdir=runs/flowers
    python -m aape_jax.train --config=configs/aape.py:model=,data=features:my.npz,\\
prompts.corpus=features:my_texts.npz --workdir=runs/mine

Without an argument: the bundled CLIP, pictures and sentences, a minute on a laptop. With
`paper=NAME`: CLIP ViT-B/16 and the paper's protocol on one of its data sets; the sentences are
files of yours, e.g. CuPL's, which carry no licence and are not shipped.
"""

from ml_collections import ConfigDict

from aape_jax.presets import preset
from common.config import apply_arg
from common.errors import UserError

TEMPLATE = "a photo of a {}"

# Where each of the paper's data sets is looked for, its classes, its file of GPT-3 sentences,
# and CoOp's template for it, which `template=coop` takes.
PAPER = {
    "imagenet": ("coop:data/imagenet", 1000, "imagenet", "a photo of a {}."),
    "caltech": ("coop:data/caltech-101", 100, "cal", "a photo of a {}."),
    "pets": ("coop:data/oxford_pets", 37, "pets", "a photo of a {}, a type of pet."),
    "cars": ("coop:data/stanford_cars", 196, "cars", "a photo of a {}."),
    "flowers": ("coop:data/oxford_flowers", 102, "flower", "a photo of a {}, a type of flower."),
    "food": ("coop:data/food-101", 101, "food", "a photo of {}, a type of food."),
    "aircraft": (
        "coop:data/fgvc_aircraft",
        100,
        "airplane",
        "a photo of a {}, a type of aircraft.",
    ),
    "sun": ("coop:data/sun397", 397, "sun", "a photo of a {}."),
    "dtd": ("coop:data/dtd", 47, "texture", "{} texture."),
    "eurosat": ("coop:data/eurosat", 10, "eurosat", "a centered satellite photo of {}."),
    "ucf": ("coop:data/ucf101", 101, "ucf", "a photo of a person doing {}."),
}


def get_config(arg: str | None = None) -> ConfigDict:
    """The default run, changed by `key=value,...` in `arg`."""
    config = pocket()
    apply_arg(config, arg)
    if config.preset != "default" or config.paper:
        config.update_from_flattened_dict(dict(preset(config.preset)))
        if config.paper:
            config.update(paper(config.paper, config.template))
        apply_arg(config, arg)  # what the user wrote wins
    return config


def pocket() -> ConfigDict:
    """Every field with its default."""
    config = ConfigDict()
    config.method = "aape_jax.tasks.classification:Classification"
    config.preset = "default"  # or paper, full_fc, clip_adapter: see aape_jax/presets.py
    config.paper = ""  # name of one of the paper's data sets: takes its protocol
    config.template = "plain"  # "coop": with `paper`, CoOp's template for the data set
    config.seed = 0

    # What is learned from.
    config.model = "pocket"  # CLIP; empty where data and prompts are features
    config.data = "pocket:rare"
    config.classes = 0  # for `common.aot`: the number of classes; 0 opens the data and counts
    config.subsample = "base"  # train on the first half, test on both; or "all", "new"
    config.shots = 16  # photos per class; 0 takes all
    config.shots_seed = 1  # which photos; the papers average over 1, 2, 3
    config.holdout = 1  # photos per class kept for the test where a folder has no split
    config.views = 1  # cached views of each photo; further ones are random crops and flips

    # Reference prompts, for training only.
    config.prompts = ConfigDict()
    config.prompts.corpus = "pocket"  # or json:FILE, features:FILE.npz, none
    config.prompts.aliases = ""  # JSON file, class name -> its key in the corpus
    config.prompts.per_template = 10  # of each ten sentences, 1 to 10
    config.prompts.seed = 0  # which of them
    config.prompts.padded = 20  # for `common.aot`: prompts of the class that has most

    config.aggregator = aggregator()

    # The generator h and the projection g.
    config.generator = ConfigDict()
    config.generator.hidden = 32  # 0: a sixteenth of the joint width
    config.generator.bias = False
    config.generator.residual = "none"  # "image": h(x) = x + MLP(x)
    config.projection = ConfigDict()
    config.projection.kind = "bottleneck"  # or fc
    config.projection.hidden = 32
    config.projection.activation = "relu"  # "none" makes g linear
    config.projection.out_relu = False
    config.projection.residual_alpha = 0.2  # 1 keeps nothing of the class feature
    config.projection.residual = "mix"  # (1 - alpha) w + alpha g; "add": w + alpha g
    config.projection.zero_init = True
    config.projection.identity_init = False  # of fc: starts at g = w
    config.classifier = ConfigDict()
    config.classifier.mode = "template_and_aape"  # or aape_only, template_only
    config.classifier.template = TEMPLATE

    config.loss = loss()

    # CoOp's optimizer.
    config.optimizer = "sgd"  # or adamw
    config.learning_rate = 2e-3
    config.momentum = 0.9
    config.weight_decay = 5e-4
    config.warmup_epochs = 1
    config.warmup_rate = 1e-5
    config.batch = 32
    config.schedule = "counts"  # "short": 10 epochs; "coop": 50 to 200, by the shots
    # With "counts" the loop's numbers are taken as they are; the others set all five.
    config.updates = 300
    config.steps_per_call = 6  # an epoch of twelve classes
    config.log_every = 6
    config.save_every = 60
    config.eval_every = 0  # 0: at the end only

    # What is trained and measured beside it.
    config.compare = ("default", "paper", "no_distillation", "aape_only", "mean_prompt")
    config.baselines = (
        "nearest_class_mean",
        "linear_probe",
        "tip_adapter",
        "tip_adapter_f",
        "clip_adapter",
        "coop",
    )
    config.pictures = 4  # training photos whose prompts are drawn, ranked by attention

    # The program.
    config.dtype = "auto"  # of frozen networks: bfloat16 on accelerators, float32 on CPU
    config.mesh = ConfigDict({"data": -1, "model": 1})  # -1 takes all devices
    config.keep = 2  # checkpoints
    config.progress = True
    config.cache = "~/.cache/promptax/features"
    config.compile_cache = "~/.cache/promptax/xla"
    return config


def aggregator() -> ConfigDict:
    """The aggregator: n prompts to one, with the image's help."""
    group = ConfigDict()
    group.kind = "anchored"  # or paper, mean, random, mlp
    group.heads = 1
    group.init_scale = 100.0  # of the anchored form's softmax
    group.token = "class"  # whose the paper form's learnable token is; image, none
    group.ffn_mult = 4  # paper form
    group.norm = "pre"  # paper form; post, none
    group.mlp_hidden = 32  # mlp form
    group.num_outputs = 1  # m, aggregated prompts
    group.reward_scale = 2.5  # s of the CLIP score
    group.reward_clamp = True  # negative cosines count as zero
    group.reward_weight = 1.0
    group.anchor_weight = 0.0  # holds p_a near the mean prompt
    group.rate_factor = 1.0  # of the learning rate
    return group


def loss() -> ConfigDict:
    """task + lambda * distill."""
    group = ConfigDict()
    group.distill = True
    group["lambda"] = 5.0
    group.distance = "sq_l2"  # or l2, l1, cos
    group.normalize_target = True
    group.normalize_pred = False
    group.reduce = "sum"  # over dimensions, or mean
    group.distill_stop_grad = True
    group.tau = 0.01
    return group


def paper(name: str, template: str) -> ConfigDict:
    """The paper's protocol on one of its data sets."""
    if name not in PAPER:
        raise UserError(f"paper={name!r} is unknown; choose one of {', '.join(PAPER)}.")
    templates = {"plain": TEMPLATE, "coop": PAPER[name][3]}
    if template not in templates:
        raise UserError(f"template={template!r} is neither plain nor coop.")
    data, classes, sentences, _ = PAPER[name]
    return ConfigDict(
        {
            "model": "openai/clip-vit-base-patch16",
            "data": data,
            "classes": classes,
            "prompts": {"corpus": f"json:data/prompts/{sentences}_prompts_full.json", "padded": 90},
            "classifier": {"template": templates[template]},
            "schedule": "short",
        }
    )
