"""AAPE (arXiv 2410.23698) for questions about images, answered by a small head.

    python -m aape_jax.train --config=configs/aape_vqa.py --workdir=runs/vqa
    python -m aape_jax.train --config=configs/aape_vqa.py:data=easy_vqa:data/easy_vqa,\\
loss.distill=false --workdir=runs/easy_vqa

The head chooses among the training answers. It is not the paper's, which lets a language model
write the answer; it needs none, and shows what h(x) adds to an image and a question.
"""

from ml_collections import ConfigDict

from common.config import apply_arg
from configs.aape import aggregator, loss


def get_config(arg: str | None = None) -> ConfigDict:
    """The default run, changed by `key=value,...` in `arg`."""
    return apply_arg(pocket(), arg)


def pocket() -> ConfigDict:
    """Every field with its default."""
    config = ConfigDict()
    config.method = "aape_jax.tasks.vqa:VQA"
    config.seed = 0

    # What is learned from: images with questions, and captions where there are some.
    config.model = "pocket"
    config.data = "pocket:questions"  # or easy_vqa:FOLDER
    config.answers = 0  # the most frequent training answers; 0 takes all

    # The method.
    config.aggregator = aggregator()
    config.aggregator.token = "none"
    config.generator = ConfigDict()
    config.generator.hidden = 512
    config.generator.bias = False
    config.generator.residual = "image"
    config.loss = loss()
    config.inputs = ("image", "aape", "question")  # what the head reads
    config.hidden = 512  # of the head

    # AdamW.
    config.optimizer = "adamw"  # or sgd
    config.learning_rate = 1e-3
    config.momentum = 0.9  # sgd
    config.weight_decay = 0.05
    config.warmup_epochs = 0
    config.warmup_rate = 1e-5
    config.batch = 128
    config.updates = 1080
    config.steps_per_call = 36  # an epoch of the pocket questions
    config.log_every = 36
    config.save_every = 360
    config.eval_every = 0  # 0: at the end only

    # What is trained and measured beside it.
    config.compare = ("no_aape", "question_only", "no_distillation")
    config.pictures = 6  # test images that are drawn with their answers

    # The program.
    config.dtype = "auto"  # of frozen networks: bfloat16 on accelerators, float32 on CPU
    config.mesh = ConfigDict({"data": -1, "model": 1})  # -1 takes all devices
    config.keep = 2  # checkpoints
    config.progress = True
    config.cache = "~/.cache/promptax/features"
    config.compile_cache = "~/.cache/promptax/xla"
    return config
