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
    config.method = "aape_jax.tasks.vqa:VQA"  # module:class
    config.seed = 0  # of the heads' start and of the order of the questions

    # What is learned from: images with questions, and captions where there are some.
    config.model = "pocket"  # CLIP
    config.data = "pocket:questions"  # or easy_vqa:FOLDER
    config.answers = 0  # the most frequent training answers; 0 takes all

    # The method.
    config.aggregator = aggregator()
    config.aggregator.token = "none"  # or image; images have no classes here
    config.generator = ConfigDict()
    config.generator.hidden = 512  # 0: a sixteenth of the joint width
    config.generator.bias = False  # true: both layers have one
    config.generator.residual = "image"  # h(x) = x + MLP(x)
    config.loss = loss()
    config.inputs = ("image", "aape", "question")  # what the head reads
    config.hidden = 512  # of the head

    # AdamW.
    config.optimizer = "adamw"  # or sgd
    config.learning_rate = 1e-3  # from where a cosine lowers it by epoch
    config.momentum = 0.9  # sgd
    config.weight_decay = 0.05  # decoupled
    config.warmup_epochs = 0  # at the constant rate below
    config.warmup_rate = 1e-5  # in these epochs
    config.batch = 128  # questions
    config.updates = 1080  # steps of the optimizer
    config.steps_per_call = 36  # that the device makes between two words with the host; an epoch
    config.log_every = 36  # steps whose means are a line of metrics.jsonl
    config.save_every = 360  # steps between two checkpoints
    config.eval_every = 0  # 0: at the end only

    # What is trained and measured beside it.
    config.compare = ("no_aape", "question_only", "no_distillation")  # variants of the head
    config.pictures = 6  # test images that are drawn with their answers

    # The program.
    config.dtype = "auto"  # of frozen networks: bfloat16 on accelerators, float32 on CPU
    config.mesh = ConfigDict({"data": -1, "model": 1})  # devices on each axis; -1: all
    config.keep = 2  # checkpoints
    config.progress = True  # false: no bar
    config.wandb = ""  # a project at Weights & Biases that is sent the metrics; "": none
    config.cache = "~/.cache/promptax/features"  # of images and texts, by their fingerprints
    config.compile_cache = "~/.cache/promptax/xla"  # of compiled programs; "": none
    return config
