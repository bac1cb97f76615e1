"""Questions about images as the training loop sees them, answered by the `head`."""

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Key, PyTree
from ml_collections import ConfigDict

from aape_jax.core.head import parameter_count
from aape_jax.core.losses import classification
from aape_jax.core.objective import PromptedImages, prompt_objective
from aape_jax.core.optimizer import make_optimizer
from aape_jax.core.pictures import answer_page
from aape_jax.core.presets import say_repeated, variants
from aape_jax.core.start import read_start, require_same_models, started
from aape_jax.core.summary import (
    TEST_DATA,
    array_digest,
    encoders,
    evaluation_fingerprints,
    pairs_summary,
)
from aape_jax.datasets.question_set import QuestionSet
from aape_jax.datasets.questions import read_questions
from aape_jax.task import Task, evaluated, summed
from aape_jax.vqa.answers import FILE, read_answers, usual_answers, vocabulary, write_answers
from aape_jax.vqa.evaluation import chosen_answers
from aape_jax.vqa.features import QuestionFeatures, encode_questions
from aape_jax.vqa.head import VQAHead
from aape_jax.vqa.material import to_learn, training_questions
from aape_jax.vqa.options import check_options
from aape_jax.vqa.outline import describe
from aape_jax.vqa.towers import make_tower
from common.errors import UserError
from common.evaluation.vqa import mean_accuracies
from common.paths import AnyPath
from common.protocols.models import cache_of, clip_of
from common.training import Evaluation, RunInputs
from common.training.summary import unread_counts
from common.training.types import Card
from configs.aape_vqa import get_config

VARIANTS = {
    "no_aape": {"inputs": ("image", "question")},
    "question_only": {"inputs": ("question",)},
    "no_distillation": {"loss.distill": False},
}


class VQA(Task):
    """Trains a run's own h and answers, and the variants beside them, all in one program."""

    terms = MappingProxyType(
        {
            "task": "mean cross-entropy of the answer",
            "accuracy": "share of a batch's questions that are answered right",
        }
    )
    writes = ("answers.png", FILE, "heads")
    evaluation_fields = ("pictures",)

    get_config = staticmethod(get_config)

    @classmethod
    def complete(cls, config: ConfigDict) -> ConfigDict:
        """Fill in nothing; a `start` that cannot be read is refused here."""
        check_options(config)
        read_start(config)
        return config

    def open(self, mesh: Mesh) -> Mapping[str, str]:
        """Open images, captions, questions and CLIP."""
        config = self.config
        self._plan()
        self.sets = read_questions(config.data)
        train, test = self.sets["train"], self.sets["test"]
        if config.loss.distill and not any(train.captions):
            raise UserError(
                f"{config.data!r} has no captions to distil from: set loss.distill=false."
            )
        self.answers = vocabulary(train.answers, config.answers)
        if not set(self.answers) & set().union(*test.answers):
            raise UserError(
                f"none of the {len(self.answers)} training answers answers a test question of "
                f"{config.data!r}: are the parts of one data set?"
            )
        self.usual = usual_answers(train)
        self.known = training_questions(train, self.answers, config.per_image)
        self.clip = clip_of(config)
        width, images = self.clip.config.text.projection, len(train.pictures)
        self._size(width, len(self.answers), images, len(self.known.asked), mesh)
        if self.start:
            jax.eval_shape(self.init, jax.random.key(0))  # Refuses an h of other sizes.
            require_same_models("start", config.start, self.models)
        left = len(train.texts) - len(self.known.rows)
        passed = f"{left} questions without a known answer" if left else ""
        sizes = images, len(train.texts), len(test.pictures)
        unread = unread_counts(config, {"examples": len(train.texts), "images": images})
        return pairs_summary(*sizes, "questions") | {"passed over": passed} | unread

    def encode(self) -> RunInputs:
        """Encode images, captions and questions, or read them from the cache."""
        say_repeated(self.config, VARIANTS)
        train, parts = self.sets["train"], self._encoded(self.sets)
        self.test = parts["test"]
        prints = encoders(self.clip) | self._test_print
        if self.start:
            prints["start"] = array_digest(self.start)
        frozen, source = to_learn(parts["train"], self.known), self.epochs(train.fingerprint)
        del self.sets, self.clip, self.known
        return RunInputs(frozen, source, prints, {"answers": list(self.answers)})

    def encode_test(self) -> tuple[PyTree, Mapping[str, str]]:
        """Encode the test images and what is asked about them."""
        self.test = self._encoded({"test": self.sets["test"]})["test"]
        return {}, self._test_print

    @property
    def _test_print(self) -> Mapping[str, str]:
        return evaluation_fingerprints({TEST_DATA: self.sets["test"].fingerprint})

    def _encoded(self, parts: Mapping[str, QuestionSet]) -> dict[str, QuestionFeatures]:
        return encode_questions(parts, self.clip, make_tower(self.config), cache_of(self.config))

    def save(self, trainable: PyTree, evaluation: Evaluation, workdir: AnyPath) -> None:
        """Write the heads, and the answers that they choose from."""
        super().save(trainable, evaluation, workdir)
        write_answers(workdir, self.answers)

    @classmethod
    def write_notes(cls, notes: Mapping[str, Any], workdir: AnyPath) -> None:
        """Write the answers that the heads choose from."""
        if "answers" in notes:
            write_answers(workdir, notes["answers"])

    @classmethod
    def saved_notes(cls, workdir: AnyPath) -> Mapping[str, Any]:
        """Return the answers that the heads choose from, but of runs older than their file."""
        answers = read_answers(workdir)
        return {"answers": answers} if answers else {}

    def read_notes(self, workdir: AnyPath) -> None:
        """Choose from the answers that the heads learned, however frequent they are today."""
        if answers := read_answers(workdir):
            self.answers, self.sizes = answers, (self.sizes[0], len(answers))

    @classmethod
    def publish(cls, config: ConfigDict, workdir: AnyPath, out: AnyPath) -> Card:
        """Give the answers away with the heads."""
        cls.write_notes(cls.saved_notes(workdir), out)
        return super().publish(config, workdir, out)

    @classmethod
    def measure(cls, config: ConfigDict, workdir: AnyPath, data: str | None) -> Evaluation:
        """Measure the saved heads on the run's own questions."""
        if data not in (None, config.data):
            raise UserError(
                f"--data={data}: the head knows the answers of {config.data!r} alone; train on "
                "the other data set."
            )
        return super().measure(config, workdir, data)

    def abstract(self, mesh: Mesh) -> RunInputs:
        """Return the shapes and dtypes of `load`; `evaluate` and `save` need `load`."""
        self._plan()
        frozen = describe(self.config)
        width, images = frozen["questions"].shape[1], len(frozen["seen"])
        self._size(width, self.config.answers, images, len(frozen["asked"]), mesh)
        return RunInputs(frozen, self.epochs("abstract"))

    def _plan(self) -> None:
        """Read every option, before anything slow is begun."""
        config = self.config
        configs = variants(config, VARIANTS)
        self.objectives = {name: prompt_objective(variant) for name, variant in configs.items()}
        self.heads = {name: VQAHead.from_config(variant) for name, variant in configs.items()}
        make_optimizer(config, 1)
        self.start = read_start(config)

    def _size(self, width: int, answers: int, images: int, examples: int, mesh: Mesh) -> None:
        self.sizes, self.images = (width, answers), images
        self.divide(examples, self.config.batch // self.config.per_image, mesh)

    @property
    def names(self) -> Sequence[str]:
        """The variants that are trained side by side, the run's own first."""
        return tuple(self.heads)

    def init(self, key: Key[Array, ""]) -> PyTree:
        """Return the parameters of each variant; all of them start from the same key.

        Raises:
          UserError: The run of `config.start` has an h of other sizes.
        """
        teacher_key, head_key = jax.random.split(key)
        trainable = {}
        for name, head in self.heads.items():
            params = {"head": head.init(head_key, *self.sizes)}
            if head.has_aape:
                teacher = self.objectives[name].init(teacher_key, self.sizes[0], 1, self.images)
                params["aggregator"] = teacher["aggregator"]
            if head.has_aape and self.start:
                fresh = params["head"]["generator"]
                params["head"]["generator"] = started(self.config.start, self.start, fresh)
            trainable[name] = params
        return trainable

    def loss(
        self, trainable: PyTree, frozen: PyTree, batch: PyTree, key: Key[Array, ""]
    ) -> tuple[Array, dict[str, Array]]:
        """Return the answers' cross-entropy, and the aggregator's loss where there are captions."""
        block = frozen["asked"][batch["rows"]]
        image, rows = frozen["image"][block[:, 0]], block.reshape(-1)
        seen, answer = frozen["seen"][image], frozen["answer"][rows]
        questions = frozen["questions"][frozen["text"][rows]]

        def outcome(name: str, head: VQAHead) -> tuple[Array, dict[str, Array]]:
            params = trainable[name]["head"]
            features = head.look(params, seen)
            # One look serves all questions about an image.
            repeated = {n: jnp.repeat(x, block.shape[1], axis=0) for n, x in features.items()}
            logits = head.answer(params, repeated, questions)
            loss = task = classification(logits, answer)
            metrics = {"task": task, "accuracy": (logits.argmax(axis=-1) == answer).mean()}
            if "captions" in frozen and head.has_aape:
                x, h = features["image"], features["aape"]
                prompts, mask = frozen["captions"][image], frozen["mask"][image]
                images = PromptedImages(x, prompts, mask, image)
                taught, watched = self.objectives[name].teach(trainable[name], images, h, key)
                loss, metrics = loss + taught, metrics | watched
            return loss, metrics

        return summed((name, outcome(name, head)) for name, head in self.heads.items())

    def evaluate(self, trainable: PyTree, frozen: PyTree) -> Evaluation:
        """Measure the VQA accuracy of every variant and of blind guesses, by kind of answer."""
        del frozen
        source = self.test.source
        chosen = {
            name: chosen_answers(head, trainable[name]["head"], self.test, self.answers)
            for name, head in self.heads.items()
        }
        judge = partial(mean_accuracies, people=source.answers, kinds=source.kinds)
        rows = {name: judge(answers) for name, answers in chosen.items()}
        for name in rows:
            rows[name]["parameters"] = float(parameter_count(trainable[name]["head"]))
        usual = [self.usual.get(text, self.answers[0]) for text in source.texts]
        beside = {
            "most_frequent": judge([self.answers[0]] * len(usual)),
            "most_frequent_by_question": judge(usual),
        }
        pictures = {}
        if self.config.pictures:
            numbers = np.arange(len(source.texts))
            answers = chosen[self.names[0]]
            pictures["answers"] = answer_page(source, numbers, answers, self.config.pictures)
        return evaluated(rows, beside, pictures=pictures)
