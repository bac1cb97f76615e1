"""AAPE (arXiv 2410.23698) for captioning by a frozen language model, in LiMBeR's way.

    python -m aape_jax.train --config=configs/aape_captioning.py --workdir=runs/captioning
    python -m aape_jax.evaluate --workdir=runs/captioning --data=pocket:questions
    python -m aape_jax.train --config=configs/aape_captioning.py:recipe=coco --workdir=runs/coco

First a linear map from the cells of the image tower to the language model is trained on captions,
then what AAPE adds: h, taught by distillation and captions, and its own map. `none` in the result
is the same language model behind the same visual map without AAPE.
"""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from common.choices import check_choice
from common.config import apply_arg
from configs.aape import aggregator, loss
from configs.aape_retrieval import RECIPES


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
    config.method = "aape_jax:Captioning"  # package:class
    config.recipe = ""  # coco or flickr30k: takes the paper's protocol
    config.seed = 0  # of the start and of the order of the images

    # What is learned from: images with their own captions.
    config.model = "pocket"  # CLIP or SigLIP
    config.image_size = 0  # side of its photos in pixels; 0: that of the weights
    config.data = "pocket:many_captions"  # or pocket:captions, coco:FOLDER, captions:FILE,FOLDER
    config.grid = "device"  # where the cells of all images lie; "host" sends them with each batch
    config.examples = 0  # for `common.aot`: training images
    config.captions = 5  # for `common.aot`: captions of the image that has most

    # The language model, which is never trained, and what it is shown.
    config.lm = ConfigDict()
    config.lm.model = "pocket"  # GPT-2 or GPT-J: a directory or a hub id
    config.lm.aape_position = "after_visual"  # or before_visual, none
    config.lm.aape_tokens = 8  # tokens that h(x) becomes
    config.lm.length = 32  # tokens of a caption, its end included
    config.lm.beams = 5  # beside greedy decoding; 1: greedy alone
    config.lm.map = ""  # a trained visual map, DIR/heads/visual.safetensors, to start from
    config.lm.remat = False  # compute each block twice instead of keeping its activations
    config.lm.asking = 3  # for `common.aot`: tokens of "A picture of"

    # The method.
    config.aggregator = aggregator()
    config.aggregator.token = "none"  # or image; images have no classes here
    config.generator = ConfigDict()
    config.generator.hidden = 512  # 0: a sixteenth of the joint width
    config.generator.bias = False  # true: both layers have one
    config.generator.residual = "image"  # h(x) = x + MLP(x) starts as the image itself
    config.loss = loss()

    # AdamW in two stages, each with a warm-up and a cosine of its own.
    config.map_updates = 1500  # of the visual map; what follows trains AAPE
    config.map_rate = 1e-2  # largest learning rate of the first stage
    config.learning_rate = 3e-3  # largest of the second
    config.token_rate = 1.0  # largest of the map from h(x), whose length is 1, to its tokens
    config.weight_decay = 0.0  # decoupled
    config.clip = 1.0  # largest norm of a gradient
    config.warmup = 20  # of "paper" below: updates of each stage in which the rate rises
    config.rate = ConfigDict()
    config.rate.schedule = "paper"  # a cosine in each stage; or "constant", "cosine", "linear"
    config.rate.warmup = 0  # updates in which the rate rises linearly, but for "paper"
    config.rate.end = 0.0  # share of the rate that is left at the end, but for "paper"
    config.batch = 32  # images, each with one of its captions
    config.updates = 2500  # of both stages
    config.steps_per_call = 20  # updates between two reports to the host
    config.log_every = 20  # steps whose means are a line of metrics.jsonl
    config.save_every = 500  # steps between two checkpoints
    config.eval_every = 0  # 0: at the end only

    # What is trained and measured beside it.
    config.compare = ("before_visual", "no_distillation")  # variants of the method
    config.scorer = "pocket"  # CLIP of the CLIP scores, not SigLIP; published ones: ViT-B/32
    config.images_at_once = 100  # that are captioned; on all devices together
    config.pictures = 8  # test images that are drawn with their captions

    # Questions, which `evaluate` asks with --data.
    config.vqa = ConfigDict()
    config.vqa.shots = (0, 1, 2, 4)  # examples in front of a question
    config.vqa.seed = 0  # of the examples
    config.vqa.questions = 600  # asked; 0: all

    # The program.
    config.dtype = "auto"  # of frozen networks: bfloat16 on accelerators, float32 on CPU
    config.mesh = ConfigDict({"data": -1, "model": 1})  # devices on each axis; -1: all
    config.keep = 2  # checkpoints
    config.progress = True  # false: no bar
    config.profile = ""  # START:STOP: updates whose trace for XProf goes to WORKDIR/profile
    config.wandb = ""  # a project at Weights & Biases that is sent the metrics; "": none
    config.cache = "~/.cache/promptax/features"  # of images and texts, by their fingerprints
    config.compile_cache = "~/.cache/promptax/xla"  # of compiled programs; "": none
    return config


def recipe(name: str) -> ConfigDict:
    """Return the fields for GPT-J-6B behind CLIP RN50x16 with LiMBeR's optimizer.

    Stage two's counts are ours.

    Raises:
      UserError: There is no such recipe.
    """
    check_choice("recipe", name, RECIPES)
    return ConfigDict(
        {
            "model": "timm/resnet50x16_clip.openai",
            "data": RECIPES[name],
            "grid": "host",
            "lm": {"model": "EleutherAI/gpt-j-6b", "aape_tokens": 1, "remat": True},
            "scorer": "openai/clip-vit-base-patch32",
            "generator": {"hidden": 768},
            "map_updates": 15000,
            "map_rate": 8e-4,
            "learning_rate": 8e-4,
            "token_rate": 8e-4,
            "warmup": 100,
            "batch": 256,
            "updates": 20000,
            "steps_per_call": 1,
            "log_every": 10,
            "save_every": 1000,
            "compare": (),
            "images_at_once": 32,
        }
    )
