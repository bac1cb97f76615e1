"""AAPE (arXiv 2410.23698) for image-to-text retrieval: h(x) is the query, captions the gallery.

    python -m aape_jax.train --config=configs/aape_retrieval.py --workdir=runs/retrieval
    python -m aape_jax.train --config=configs/aape_retrieval.py:recipe=coco --workdir=runs/coco
    python -m aape_jax.evaluate --workdir=runs/coco --data=karpathy:FILE.json,FOLDER
    python -m aape_jax.train --workdir=runs/flickr \\
        --config=configs/aape_retrieval.py:recipe=flickr30k,start=runs/coco,learning_rate=1e-4

The last two are the paper's Flickr30k without training on it, and after fine-tuning.
"""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from common.choices import check_choice
from common.config import apply_arg
from configs.aape import aggregator, loss

# The paper's data sets, in Karpathy's splits: JSON file and folder of photos.
RECIPES = {
    "coco": "karpathy:data/dataset_coco.json,data/coco",
    "flickr30k": "karpathy:data/dataset_flickr30k.json,data/flickr30k-images",
}


def get_config(arg: str | Mapping[str, Any] | None = None) -> ConfigDict:
    """Return the default run, changed by `key=value,...` in `arg`."""
    config = defaults()
    apply_arg(config, arg)
    if config.recipe:
        config.update(recipe(config.recipe))
        apply_arg(config, arg)  # what the user wrote wins
    return config


def defaults() -> ConfigDict:
    """Return every field with its default."""
    config = ConfigDict()
    config.method = "aape_jax:Retrieval"  # package:class
    config.recipe = ""  # coco or flickr30k: takes the paper's protocol
    config.start = ""  # folder of a finished run whose h training starts from
    config.seed = 0  # of the start of h and of the order of the images

    # What is learned from: images with their own captions.
    config.model = "pocket"  # CLIP or SigLIP; empty where the data are features
    config.image_size = 0  # side of its photos in pixels; 0: that of the weights
    config.data = "pocket:captions"  # or coco:FOLDER, karpathy:FILE.json,FOLDER; features:FILE.npz
    config.examples = 0  # for `common.aot`: training images; 0 opens the data and counts
    config.captions = 5  # for `common.aot`: captions of the image that has most

    # The method.
    config.aggregator = aggregator()
    config.aggregator.token = "none"  # or image; images have no classes here
    config.generator = ConfigDict()
    config.generator.hidden = 512  # 0: a sixteenth of the joint width, as in classification
    config.generator.bias = False  # true: both layers have one
    config.generator.residual = "image"  # h(x) = x + MLP(x) starts as CLIP's own query
    config.loss = loss()

    # AdamW.
    config.optimizer = "adamw"  # or sgd
    config.learning_rate = 1e-3  # from where a cosine lowers it by epoch
    config.momentum = 0.9  # sgd
    config.weight_decay = 0.05  # decoupled
    config.warmup_epochs = 0  # of "paper" below, at the constant rate warmup_rate
    config.warmup_rate = 1e-5  # in these epochs
    config.rate = ConfigDict()
    config.rate.schedule = "paper"  # CoOp's cosine by epoch; or "constant", "cosine", "linear"
    config.rate.warmup = 0  # updates in which the rate rises linearly, but for "paper"
    config.rate.end = 0.0  # share of the rate that is left at the end, but for "paper"
    config.batch = 128  # images, each with one of its captions
    config.updates = 120  # steps of the optimizer
    config.steps_per_call = 4  # updates between two reports to the host; an epoch
    config.log_every = 4  # steps whose means are a line of metrics.jsonl
    config.save_every = 40  # steps between two checkpoints
    config.eval_every = 0  # 0: at the end only

    # What is trained and measured beside it.
    config.compare = ("no_distillation", "mean_prompt")  # beside the paper's form of h
    config.queries_at_once = 256  # per device
    config.text_to_image = True  # false: image to text alone, as in the paper

    # The program.
    config.dtype = "auto"  # of frozen networks: bfloat16 on accelerators, float32 on CPU
    config.mesh = ConfigDict({"data": -1, "model": 1})  # devices on each axis; -1: all
    config.keep = 2  # checkpoints
    config.progress = True  # false: no bar
    config.profile = ""  # START:STOP: updates whose trace for XProf goes to WORKDIR/profile
    config.wandb = ""  # a project at Weights & Biases that is sent the metrics; "": none
    config.cache = "~/.cache/promptax/features"  # of images and captions, by their fingerprints
    config.compile_cache = "~/.cache/promptax/xla"  # of compiled programs; "": none
    return config


def recipe(name: str) -> ConfigDict:
    """Return the fields for CLIP ViT-L/14.

    Batch, epochs and optimizer are ours, for the paper states none.

    Raises:
      UserError: There is no such recipe.
    """
    check_choice("recipe", name, RECIPES)
    return ConfigDict(
        {
            "model": "openai/clip-vit-large-patch14",
            "data": RECIPES[name],
            "batch": 1024,
            "updates": 3300,
            "steps_per_call": 110,
            "log_every": 110,
            "save_every": 1100,
            "generator": {"hidden": 768},
        }
    )
