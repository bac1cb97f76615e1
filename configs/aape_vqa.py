"""AAPE (arXiv 2410.23698) for questions about images, answered by a small head.

    python -m aape_jax.train --config=configs/aape_vqa.py --workdir=runs/vqa
    python -m aape_jax.train --config=configs/aape_vqa.py:tower=small,data=easy_vqa:easy-VQA \\
        --workdir=runs/easy_vqa

The head chooses among the training answers. It is not the paper's, which lets a language model
write the answer; it needs none, and shows what h(x) adds to an image and a question.
"""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from common.config import apply_arg
from configs.aape import aggregator, loss


def get_config(arg: str | Mapping[str, Any] | None = None) -> ConfigDict:
    """Return the default run, changed by `key=value,...` in `arg`."""
    config = apply_arg(defaults(), arg)
    if config.tower:
        config.update(from_pixels())
        apply_arg(config, arg)  # what the user wrote wins
    return config


def defaults() -> ConfigDict:
    """Return every field with its default."""
    config = ConfigDict()
    config.method = "aape_jax:VQA"  # package:class
    config.start = ""  # folder of a finished run, e.g. on captions, whose h training starts from
    config.seed = 0  # of the start of all weights and of the order of the questions

    # What is learned from: images with questions, and captions where there are some.
    config.model = "pocket"  # CLIP or SigLIP: reads questions and, without a tower, images
    config.image_size = 0  # side of its photos in pixels; 0: that of the weights
    config.tower = ""  # small: images are read by a small tower that is trained with the answers
    config.side = 64  # pixels of the square that the small tower reads
    config.data = "pocket:questions"  # or easy_vqa:FOLDER, vqa2:FOLDER
    config.answers = 0  # the most frequent training answers; 0 takes all
    config.examples = 0  # for `common.aot`: training questions
    config.images = 0  # for `common.aot`: their images
    config.captions = 5  # for `common.aot`: captions of the image that has most

    # The method.
    config.aggregator = aggregator()
    config.aggregator.token = "none"  # or image; images have no classes here
    config.generator = ConfigDict()
    config.generator.hidden = 512  # 0: a sixteenth of the joint width
    config.generator.bias = False  # true: both layers have one
    config.generator.residual = "image"  # h(x) = x + MLP(x) starts as CLIP's own feature
    config.loss = loss()
    config.inputs = ("image", "aape", "question")  # what the head reads
    config.hidden = 512  # width of the head
    config.fusion = "sum"  # of image and question in it; or product

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
    config.batch = 128  # questions
    config.per_image = 1  # questions about one image that stay together, which looks at it once
    config.updates = 1080  # steps of the optimizer
    config.steps_per_call = 36  # updates between two reports to the host; an epoch
    config.log_every = 36  # steps whose means are a line of metrics.jsonl
    config.save_every = 360  # steps between two checkpoints
    config.eval_every = 0  # 0: at the end only

    # What is trained and measured beside it.
    config.compare = ("no_aape", "question_only", "no_distillation")  # where they differ from it
    config.pictures = 6  # test images that are drawn with their answers

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


def from_pixels() -> ConfigDict:
    """Use a small tower, trained on easy-VQA's 4,000 images with about ten questions each."""
    return ConfigDict(
        {
            "loss": {"distill": False},  # there are no captions, and the space is a new one
            "fusion": "product",
            "learning_rate": 2e-3,
            "batch": 640,
            "per_image": 10,
            "updates": 1020,
            "steps_per_call": 51,
            "log_every": 51,
            "save_every": 510,
            "compare": ("question_only",),
        }
    )
