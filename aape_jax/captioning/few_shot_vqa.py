"""Questions answered by the language model after K examples, in LiMBeR's and MAGMA's protocol.

A prompt is K times an image's tokens and "Q: ... A: ...", then the image asked about and its
question. Each example carries its own visual tokens and AAPE. Nothing is trained for it.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree, UInt8
from ml_collections import ConfigDict

from aape_jax.captioning.features import ImageFeatures
from aape_jax.captioning.prefix import Prefix
from aape_jax.captioning.question_prompts import Prompts, draw_prompts, join
from aape_jax.core.pictures import answer_page
from aape_jax.datasets.question_set import QuestionSet
from common.checks import Range, check_ranges
from common.data import ImageSplit
from common.errors import UserError
from common.evaluation.vqa import cut, mean_accuracies
from common.language import LM, write_texts
from common.progress import Progress
from common.spread import batches, deal, sharers

Answers = Mapping[int, Sequence[str]]
"""To the questions, by number of examples."""


def check_vqa(config: ConfigDict) -> None:
    """Refuse fields of `config.vqa` that are out of range.

    Raises:
      UserError: A field is negative, or no number of examples is given.
    """
    check_ranges(config.vqa, {"shots": Range(0), "questions": Range(0)}, "vqa.")
    if not config.vqa.shots:
        raise UserError("vqa.shots=() asks nothing: give numbers of examples.")


class FewShotVQA:
    """Answers and judges a fixed draw of the test questions."""

    def __init__(
        self, lm: LM, train: QuestionSet, test: QuestionSet, config: ConfigDict, cells: int
    ):
        """Draw the prompts.

        Args:
          lm: What answers.
          train: What examples are drawn from.
          test: What is asked.
          config: The run's.
          cells: Of an image.

        Raises:
          UserError: An option is out of range, a prompt is longer than the language model reads, or
            the parts are not of one data set.
        """
        check_vqa(config)
        known = {answer for row in train.answers for answer in row}
        if max(config.vqa.shots) and not known & set().union(*test.answers):
            raise UserError(
                f"none of the {len(known)} answers of the examples answers a test question: are "
                "the parts of one data set?"
            )
        self.lm, self.train, self.test, self.config = lm, train, test, config
        count = len(test.texts)
        limit = min(config.vqa.questions or count, count)
        self.rows = np.sort(np.random.default_rng(config.vqa.seed).permutation(count)[:limit])
        answers = [answer for row in test.answers for answer in row]
        self.longest = max(len(answer.split()) for answer in answers)
        self.length = max(len(lm.tokenizer.encode(f" {answer}")) for answer in answers) + 1
        self.prompts = {
            shots: draw_prompts(lm, train, test, self.rows, shots, config.vqa.seed)
            for shots in config.vqa.shots
        }
        for shots, prompts in self.prompts.items():
            self._require_room(shots, prompts, cells)
        examples = [prompts.images.reshape(-1) for prompts in self.prompts.values()]
        self._numbers = {
            "train": np.unique(np.concatenate(examples)),
            "test": np.unique(test.image[self.rows]),
        }

    @property
    def shown(self) -> dict[str, ImageSplit]:
        """The pictures of all prompts, by part of the data set: without examples, of the test."""
        parts = {"train": self.train.pictures, "test": self.test.pictures}
        return {name: parts[name].take(rows) for name, rows in self._numbers.items() if len(rows)}

    def answer(
        self,
        images: Mapping[str, ImageFeatures],
        prefixes: Mapping[str, Callable[[ImageFeatures], Array]],
        lm_params: PyTree,
    ) -> dict[str, Answers]:
        """Return the answers of each row.

        Two rows are added: "blind" is shown no image, "most_frequent" gives the examples'.

        Args:
          images: Features of `shown`.
          prefixes: How each row shows them.
          lm_params: On the devices.
        """
        width = self.lm.config.width
        blind = {"blind": lambda images: jnp.zeros((len(images.x), 0, width))}
        rows = {
            name: {
                shots: self._answer(name, shots, images, show, lm_params) for shots in self.prompts
            }
            for name, show in (dict(prefixes) | blind).items()
        }
        counts = Counter(answer for row in self.train.answers for answer in row)
        frequent = [counts.most_common(1)[0][0]] * len(self.rows)
        return rows | {"most_frequent": dict.fromkeys(self.prompts, frequent)}

    def scores(self, answers: Answers) -> dict[str, float]:
        """Return a row's VQA accuracy, all in all and by kind of answer."""
        references = [self.test.answers[row] for row in self.rows]
        kinds = self.test.kinds and [self.test.kinds[row] for row in self.rows]
        return {
            f"{shots}_shot/{name}": accuracy
            for shots, texts in answers.items()
            for name, accuracy in mean_accuracies(texts, references, kinds).items()
        }

    def page(self, answers: Answers) -> UInt8[np.ndarray, "h w 3"]:
        """Draw pictures with a row's answers and, in brackets, people's."""
        texts = answers[max(self.prompts)]
        return answer_page(self.test, self.rows, texts, self.config.pictures)

    def _require_room(self, shots: int, prompts: Prompts, cells: int) -> None:
        """Refuse prompts that are longer than the language model reads, before any is answered."""
        of_an_image = Prefix.from_config(self.config.lm).length(cells)
        longest = (shots + 1) * (of_an_image + prompts.ids.shape[2]) + self.length
        if longest > self.lm.config.positions:
            raise UserError(
                f"vqa.shots={shots}: images, texts and an answer of {longest} tokens exceed the "
                f"language model's {self.lm.config.positions} positions: give fewer examples."
            )

    def _answer(
        self,
        name: str,
        shots: int,
        images: Mapping[str, ImageFeatures],
        show: Callable[[ImageFeatures], Array],
        lm_params: PyTree,
    ) -> list[str]:
        prompts, count = self.prompts[shots], len(self.rows)
        parts = batches(count, self.config.images_at_once, sharers(lm_params))
        answers: list[str] = []
        with Progress(count, f"Answers, {name}, {shots}-shot", unit="questions") as bar:
            for rows, real in parts:
                numbers = [("train", prompts.images[rows, k]) for k in range(shots)]
                numbers.append(("test", prompts.asked[rows]))
                seen = [images[x].take(np.searchsorted(self._numbers[x], n)) for x, n in numbers]
                whole, mask = join(
                    self.lm, lm_params, [show(own) for own in seen],
                    *deal((prompts.ids[rows], prompts.mask[rows]), lm_params),
                )  # fmt: skip
                texts = write_texts(self.lm, lm_params, whole, mask, length=self.length)
                answers += texts[:real]
                bar.update(len(answers))
        return [cut(text, self.longest) for text in answers]
