"""MC-TI (arXiv 2410.22317): a token per nameless class from a few photos.

    python -m mcti_jax.train --config=configs/mcti.py --workdir=runs/mcti
    python -m mcti_jax.train --config=configs/mcti.py:recipe=photos,data=folder:mine \\
        --workdir=runs/mine
    python -m mcti_jax.train --config=configs/mcti.py:recipe=oxford_flowers --workdir=runs/flowers

Without an argument: the bundled pocket models and pictures, minutes on a laptop. With
`recipe=NAME`: Stable Diffusion 1.5 at the settings of the published recipe, on one of the paper's
twelve datasets, or, as `photos`, on your own.
"""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from common.choices import check_choice
from common.config import apply_arg

# The paper's twelve datasets: where the data is looked for, how many classes the reference
# counts in it, and the coarse noun that every token starts from. Of the nouns only "person" is
# published (for a private set); the others are ours.
RECIPES = {
    "imagenet": ("coop:data/imagenet", 1000, "object"),
    "caltech101": ("coop:data/caltech-101", 102, "object"),
    "oxford_pets": ("coop:data/oxford_pets", 37, "pet"),
    "stanford_cars": ("coop:data/stanford_cars", 196, "car"),
    "oxford_flowers": ("coop:data/oxford_flowers", 102, "flower"),
    "food101": ("coop:data/food-101", 101, "food"),
    "fgvc_aircraft": ("coop:data/fgvc_aircraft", 100, "aircraft"),
    "dtd": ("coop:data/dtd", 47, "texture"),
    "eurosat": ("coop:data/eurosat", 10, "satellite"),
    "ucf101": ("coop:data/ucf101", 101, "action"),
    "stl": ("tfds:stl10", 10, "object"),
    "cifar": ("tfds:cifar10", 10, "object"),
    # Not the paper's: a folder of your own; give data=folder:PATH and a noun that fits.
    "photos": ("folder:photos", 0, "object"),
}


def get_config(arg: str | Mapping[str, Any] | None = None) -> ConfigDict:
    """Return the default run, changed by `key=value,...` in `arg`."""
    config = defaults()
    apply_arg(config, arg)
    if config.recipe:
        config.update(recipe(config.recipe))
        apply_arg(config, arg)  # what the user wrote wins over the recipe
    return config


def defaults() -> ConfigDict:
    """Return every field with its default."""
    config = ConfigDict()
    config.method = "mcti_jax:MCTI"  # package:class, for commands that serve all methods
    config.recipe = ""  # one of the paper's data sets, or photos: takes the published settings
    config.seed = 0  # of the draws of training and of the pictures

    # What is learned from.
    config.model = "pocket"  # Stable Diffusion: "pocket", a diffusers directory or a hub id
    config.clip = "pocket"  # CLIP of the same text width, for its projection and image tower
    config.image_size = 0  # side of CLIP's photos in pixels; 0: that of its weights
    config.data = "pocket:nameless"  # or folder:PATH, coop:PATH, tfds:NAME, hf:NAME
    config.classes = 0  # for `common.aot`: K, if known without the data; 0 opens and counts
    config.shots = -1  # photos per class; 0 takes all; -1: all of a folder:, else the paper's 5
    config.shots_seed = 0  # which photos
    config.holdout = 1  # photos per class kept for the test where a folder has no split; may be 0

    # The tokens.
    config.init_word = "thing"  # a coarse noun that every row starts from, of up to n tokens
    config.vectors = 1  # n, learned vectors per class
    config.start = ""  # instead of the noun: a run, an embedding, or "photos", words near to these
    config.add = ""  # a data set whose classes are learned beside those of `start`, which stay
    config.beside = ""  # a data set whose classes share the classifier by their names, unlearned
    config.learn = ()  # names of the classes to learn; the others stay as in `start`; (): all
    config.templates = "textual_inversion"  # of training; "textual_inversion_style" learns a style
    config.captions = False  # PHOTO.txt beside PHOTO.jpg is its prompt, behind the first template
    config.class_tower = "clip"  # makes the class feature; "sd" differs for Stable Diffusion 2.x
    config.pool = "placeholder"  # the reference's class feature; "eos" is CLIP's definition

    # The objective: alpha * denoising + gamma * classification.
    config.alpha = 1.0  # 0 leaves the U-Net out
    config.gamma = 0.01  # the recipes take 1; less draws truer shapes; 0 is plain textual inversion
    config.classification = "auto"  # "paper", "joint" or "both", as alpha and gamma ask for
    config.gamma_schedule = "constant"  # or "exponential", down to gamma_end
    config.gamma_end = 1e-4  # gamma at the end of an exponential schedule
    config.gamma_horizon = 3000  # updates until gamma_end
    config.logit_scale = 10.0  # s of the paper's term; CLIP's own is 100
    config.prototypes = False  # one mean feature per class instead of a drawn one
    config.shared_features = True  # one draw of K features for all classes of an update
    config.feature_draws = 1  # f, draws averaged per sample
    config.samples = 4  # m, samples per class and update (the reference's accumulation)
    config.compare_ti = True  # trains plain textual inversion beside it, in the same program

    # The joint term, where `classification` has one.
    config.joint = ConfigDict()
    config.joint.weight = 1.0  # times gamma; larger: a better classifier, worse pictures
    config.joint.logit_scale = 30.0  # its s
    config.joint.photos = 16  # of each class and update, mirrors too; 0 takes all

    # AdamW on the tokens alone.
    config.updates = 100  # of every token
    config.learning_rate = 2e-3  # the published recipe has 5e-4 and 3,100 updates
    config.scale_lr = True  # times `samples`, as the reference does
    config.rate = ConfigDict()
    config.rate.schedule = "constant"  # or "cosine", "linear": how the learning rate falls
    config.rate.warmup = 0  # updates ahead of that in which it rises linearly
    config.rate.end = 0.0  # share of it that is left at the end
    config.weight_decay = 1e-2  # towards zero, not towards the noun
    config.beta1 = 0.9  # decay of the mean gradient
    config.beta2 = 0.999  # decay of its mean square

    # The program.
    config.resolution = 0  # side in pixels; 0 takes the model's own
    config.aspect = "1:1"  # width to height of pictures, of about as many pixels as the square
    config.fit = "squash"  # photos as in the reference; "crop" takes the middle as it is
    config.dtype = "auto"  # of frozen networks: bfloat16 on accelerators, float32 on CPU
    config.attention = "auto"  # the device's fastest, or "plain", "fused", "flash" (TPUs only)
    config.remat = "none"  # or "attention", "block": recompute to save memory
    config.classes_per_chunk = 0  # rows that a device treats at once; 0 for all of its share
    config.mesh = ConfigDict({"data": -1, "model": 1})  # devices on each axis; -1: all

    # The run.
    config.steps_per_call = 10  # updates between two reports to the host
    config.log_every = 10  # updates between lines of metrics
    config.save_every = 100  # updates between checkpoints
    config.eval_every = 0  # 0: at the end only
    config.keep = 2  # checkpoints, the newest
    config.progress = True  # shows a bar
    config.profile = ""  # START:STOP: updates whose trace for XProf goes to WORKDIR/profile
    config.wandb = ""  # a project at Weights & Biases that is sent the metrics; "": none
    config.cache = "~/.cache/promptax/features"  # what frozen networks made of photos
    config.compile_cache = "~/.cache/promptax/xla"  # compiled programs; empty keeps none

    # Pictures while it learns, in pictures/STEP/preview.png; steps and sampler are those below.
    config.preview_every = 0  # updates between them; 0: none
    config.preview = ConfigDict()
    config.preview.prompts = ("a photo of a {}",)  # {} is a class's word; or words, e.g. <dog2>
    config.preview.classes = 4  # that {} stands for, the first ones; 0: all
    config.preview.number = 2  # pictures of each text
    config.preview.seed = 0  # of their noise, which is the same at every step

    # Pictures at evaluation.
    config.generate = ConfigDict()
    config.generate.per_class = 4  # 0 makes no pictures
    config.generate.rows = 24  # classes that samples.png shows, far apart; 0: all
    config.generate.prompt = "a photo of a {}"  # {} is the learned word
    config.generate.sampler = "dpmpp_2m"  # a key of common.diffusion.SAMPLERS
    config.generate.steps = 25  # of the sampler
    config.generate.guidance = 7.5  # 1 or less is none
    config.generate.batch = 32  # pictures at once
    return config


def recipe(name: str) -> ConfigDict:
    """Return the fields of the published recipe on one of the paper's data sets, or on photos.

    Raises:
      UserError: There is no such recipe.
    """
    check_choice("recipe", name, RECIPES)
    data, classes, noun = RECIPES[name]
    return ConfigDict(
        {
            "model": "stable-diffusion-v1-5/stable-diffusion-v1-5",
            "clip": "openai/clip-vit-large-patch14",
            "data": data,
            "classes": classes,
            "init_word": noun,
            "resolution": 512,
            "shots": -1 if name == "photos" else 5,
            "classification": "auto" if name == "photos" else "paper",
            "gamma": 1.0,
            "logit_scale": 10.0,
            "updates": 3100,
            "learning_rate": 5e-4,
            "compare_ti": False,
            "classes_per_chunk": 1,
        }
    )
