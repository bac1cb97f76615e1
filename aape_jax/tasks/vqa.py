"""Questions about images as the training loop sees them, with the compact head of `answerer`."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Key, PyTree
from ml_collections import ConfigDict

from aape_jax.answerer import Answerer
from aape_jax.diagnostics import text_picture
from aape_jax.head import parameter_count
from aape_jax.heads_file import write_head
from aape_jax.losses import classification
from aape_jax.objective import Batch, Objective
from aape_jax.optimizer import make_optimizer, steps_per_epoch
from aape_jax.presets import variants
from aape_jax.tasks.classification import Epochs
from aape_jax.tasks.questions import Asked, open_questions, vocabulary
from aape_jax.tasks.retrieval import retrieval_objective
from aape_jax.unit import unit
from common.clip import load_clip
from common.errors import UserError
from common.evaluation.figures import write_png
from common.evaluation.vqa import mean_accuracies
from common.precision import frozen_dtype
from common.training import Evaluation, Loaded, Method

VARIANTS = {
    "no_aape": {"inputs": ("image", "question")},
    "question_only": {"inputs": ("question",)},
    "no_distillation": {"loss.distill": False},
}
QUESTIONS_SHOWN = 6


class VQA(Method):
    """Trains a run's own h and answers, and the variants beside them, all in one program."""

    name = "aape"

    def __init__(self, config: ConfigDict):
        self.config = config

    def load(self, config: ConfigDict, mesh: Mesh) -> Loaded:
        """Encodes images, captions and questions, or reads them from the cache."""
        configs = variants(config, VARIANTS)
        self.objectives: dict[str, Objective] = {
            name: retrieval_objective(own) for name, own in configs.items()
        }
        self.answerers = {name: Answerer.from_config(own) for name, own in configs.items()}
        make_optimizer(config, 1)
        if not config.model:
            raise UserError("model='' cannot encode questions: name a model.")
        clip = load_clip(config.model, frozen_dtype(config.dtype))
        parts = open_questions(config.data, clip, Path(config.cache).expanduser())
        train, self.test = parts["train"], parts["test"]
        if train.captions is None and config.loss.distill:
            raise UserError(
                f"{config.data!r} has no captions to distil from: set loss.distill=false."
            )
        self.answers = vocabulary(train.source.answers, config.answers)
        if not set(self.answers) & set().union(*self.test.source.answers):
            raise UserError(
                f"none of the {len(self.answers)} training answers answers a test question of "
                f"{config.data!r}: are the parts of one data set?"
            )
        frozen = self._frozen(train)
        self.examples, self.width = len(frozen["answer"]), train.x.shape[1]
        self.images = len(train.x)
        self.batch_size = min(config.batch, self.examples)
        shared = self.batch_size % mesh.shape["data"] == 0
        self.batch_rules = ((".*", P("data")),) if shared else ()
        fingerprint = train.fingerprint + self.test.fingerprint
        source = Epochs(fingerprint, self.examples, 1, self.batch_size, config.seed)
        return Loaded(frozen, source, {"model": clip.fingerprint})

    def _frozen(self, train: Asked) -> PyTree:
        """The questions whose most frequent answer is among those to choose from."""
        known = {answer: number for number, answer in enumerate(self.answers)}
        wanted = [max(set(given), key=given.count) for given in train.source.answers]
        kept = np.array([row for row, answer in enumerate(wanted) if answer in known], int)
        teacher = {} if train.captions is None else {"captions": train.captions, "mask": train.mask}
        return {
            "x": train.x,
            "questions": train.questions,
            "image": train.source.image[kept].astype(np.int32),
            "text": train.text[kept],
            "answer": np.array([known[wanted[row]] for row in kept], np.int32),
            **teacher,
        }

    def init(self, key: Key[Array, ""]) -> PyTree:
        """The parameters of each variant; all of them start from the same key."""
        teacher, answers = jax.random.split(key)
        found = {}
        for name, objective in self.objectives.items():
            params = objective.init(teacher, self.width, self.images, self.images)
            params["head"]["answerer"] = self.answerers[name].init(
                answers, self.width, len(self.answers)
            )
            found[name] = params
        return found

    def optimizer(self) -> optax.GradientTransformation:
        """See `make_optimizer`."""
        return make_optimizer(self.config, steps_per_epoch(self.batch_size, self.examples))

    def logits(self, name: str, head: PyTree, x: Array, questions: Array) -> tuple[Array, Array]:
        """Of a variant's answers to one question about each image; and h(x)."""
        h = self.objectives[name].head.generator(head["generator"], x)
        given = {"image": x, "aape": unit(h), "question": questions}
        return self.answerers[name](head["answerer"], given), h

    def loss(
        self, trainable: PyTree, frozen: PyTree, batch: PyTree, key: Key[Array, ""]
    ) -> tuple[Array, dict[str, Array]]:
        """The answers' cross-entropy, and what the aggregator teaches where there are captions."""
        rows = batch["rows"]
        image, answer = frozen["image"][rows], frozen["answer"][rows]
        x, questions = frozen["x"][image], frozen["questions"][frozen["text"][rows]]
        total, metrics = jnp.zeros(()), {}
        for name, objective in self.objectives.items():
            logits, h = self.logits(name, trainable[name]["head"], x, questions)
            loss = task = classification(logits, answer)
            own = {"task": task, "accuracy": (logits.argmax(axis=-1) == answer).mean()}
            if "captions" in frozen and "aape" in self.answerers[name].inputs:
                prompts, mask = frozen["captions"][image], frozen["mask"][image]
                images = Batch(x, jnp.arange(len(rows)), image, questions, prompts, mask)
                taught, watched = objective.teach(trainable[name], images, h, key)
                loss, own = loss + taught, own | watched
            total += loss
            prefix = "" if name == self.name else f"{name}/"
            metrics |= {f"{prefix}{metric}": value for metric, value in own.items()}
        return total, metrics

    def evaluate(self, trainable: PyTree, frozen: PyTree) -> Evaluation:
        """VQA accuracy of every variant and of the most frequent answer, by kind of answer."""
        del frozen
        test = self.test
        x = jnp.asarray(test.x[test.source.image])
        questions = jnp.asarray(test.questions[test.text])
        found = {}
        for name in self.objectives:
            run = jax.jit(lambda head, x, q, name=name: self.logits(name, head, x, q)[0].argmax(1))
            numbers = np.asarray(run(trainable[name]["head"], x, questions))
            found[name] = [self.answers[number] for number in numbers]
        given = test.source.answers
        rows = {name: mean_accuracies(answers, given) for name, answers in found.items()}
        for name in rows:
            rows[name]["parameters"] = float(parameter_count(trainable[name]["head"]))
        own, *others = rows
        beside = {"most_frequent": mean_accuracies([self.answers[0]] * len(test.text), given)}
        self.pictures = {"answers": self._picture(found[own])} if self.config.pictures else {}
        beside |= {name: rows[name] for name in others}
        return Evaluation(rows[own], beside, self.pictures)

    def _picture(self, answers: list[str]) -> np.ndarray:
        source = self.test.source
        last = len(source.pictures) - 1
        shown = np.unique(np.linspace(0, last, self.config.pictures).astype(int))
        texts = []
        for image in shown:
            rows = np.flatnonzero(source.image == image)[:QUESTIONS_SHOWN]
            texts.append([f"{source.texts[r]} {answers[r]} ({source.answers[r][0]})" for r in rows])
        return text_picture([source.pictures.load(int(image)) for image in shown], texts)

    def save(self, trainable: PyTree, workdir: Path) -> None:
        """Writes h and the answerer of each variant, `heads/NAME.safetensors`, and the pictures."""
        for name, params in trainable.items():
            write_head(workdir / "heads" / f"{name}.safetensors", params["head"])
        for name, picture in self.pictures.items():
            write_png(workdir / f"{name}.png", picture)
