"""What a captioning run reports: captions of the test images, their scores, and a page of them."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree, UInt8
from ml_collections import ConfigDict

from aape_jax.captioning.features import ImageFeatures, caption_tokens
from aape_jax.captioning.rows import NEAREST, KnownCaptions, VisualPrefix
from aape_jax.core.pictures import text_picture
from aape_jax.core.texts import flattened
from aape_jax.datasets.caption_set import CaptionSet
from common.clip import CLIP
from common.data.clip_features import image_features
from common.data.clip_texts import say_cut, text_features, too_long
from common.errors import UserError
from common.evaluation.captioning import caption_scores
from common.evaluation.clip_score import PREFIX, clip_scores, ref_clip_scores
from common.hosts import to_host
from common.language import LM, write_texts
from common.language.prompts import CAPTION
from common.progress import Progress
from common.spread import batches, deal, sharers
from common.training import Evaluation

Row = dict[str, float]
Captions = Mapping[str, Sequence[str]]
"""Of the test images in their order, by way of decoding."""

Nats = Callable[[Array, Array, Array], Array]

_say_cut = partial(say_cut, limit="the scorer's text tower reads")


def require_scorer(scorer: CLIP, name: str) -> None:
    """Refuse a model whose cosines are of another size than a CLIP's.

    Raises:
      UserError: It was trained with a sigmoid.
    """
    if scorer.bias:
        raise UserError(
            f"scorer={name!r} is a SigLIP, whose cosines are smaller than those that CLIP scores "
            "are made for: choose a CLIP."
        )


class CaptionReport:
    """Writes and judges captions of the test images."""

    def __init__(
        self,
        lm: LM,
        scorer: CLIP,
        texts: CaptionSet,
        images: ImageFeatures,
        known: KnownCaptions,
        config: ConfigDict,
        cache: Path,
    ):
        """Encode for the scores.

        Args:
          lm: What writes.
          scorer: What CLIP scores are of.
          texts: The test images and their captions.
          images: Features of these.
          known: The training captions.
          config: The run's.
          cache: Folder of features.
        """
        self.lm, self.scorer, self.config, self.cache = lm, scorer, config, cache
        self.texts, self.images, self.known = texts, images, known
        self._tokens = caption_tokens(lm, texts.captions, config.lm.length, "test caption")
        self._images = image_features(scorer, texts.pictures, cache)
        flat, self._owner = flattened(texts.captions)
        references = [f"{PREFIX}{caption}" for caption in flat]
        self._references = text_features(
            scorer, references, cache, partial(_say_cut, "test caption")
        )

    def __call__(
        self, prefixes: Mapping[str, VisualPrefix], nats: Nats, lm_params: PyTree
    ) -> Evaluation:
        """Return the rows, the first of `prefixes` being the run's own.

        Args:
          prefixes: By row.
          nats: Cross-entropy of whole captions behind a prefix, by ids and lengths.
          lm_params: On the devices.
        """
        captions: dict[str, Captions] = {}
        rows: dict[str, Row] = {}
        for name, visual in prefixes.items():
            captions[name], per_token = self._write(name, visual.show, nats, lm_params)
            row = {"nats_per_token": per_token, "parameters": float(visual.parameters)}
            rows[name] = self._scores(captions[name]) | row
        captions[NEAREST], rows[NEAREST] = self._nearest
        first, *others = rows
        return Evaluation(
            rows[first],
            {name: rows[name] for name in others},
            {"captions": self._page(captions)} if self.config.pictures else {},
            files={"captions": self._by_picture(captions)},
        )

    def _by_picture(self, captions: Mapping[str, Captions]) -> dict[str, dict[str, dict[str, str]]]:
        """Return what `captions.json` holds: the captions of each picture."""
        return {
            name: {
                row: {way: texts[i] for way, texts in ways.items()}
                for row, ways in captions.items()
            }
            for i, name in enumerate(self.texts.pictures.names)
        }

    def _write(
        self, name: str, show: Callable[[ImageFeatures], Array], nats: Nats, lm_params: PyTree
    ) -> tuple[dict[str, list[str]], float]:
        """Write captions by each way of decoding, and the nats of people's captions."""
        beams = {"greedy": 1}
        if self.config.lm.beams > 1:
            beams[f"beam_{self.config.lm.beams}"] = self.config.lm.beams
        captions: dict[str, list[str]] = {way: [] for way in beams}
        asking = jnp.asarray(self.lm.tokenizer.encode(CAPTION))
        words = self.lm.model.apply({"params": lm_params}, asking, method="embed")
        images, done, total = len(self.images.x), 0, 0.0
        parts = batches(images, self.config.images_at_once, sharers(lm_params))
        with Progress(images, f"Captions, {name}", unit="photos") as progress:
            for rows, real in parts:
                prefix = show(self.images.take(rows))
                request = jnp.broadcast_to(words, (len(rows), *words.shape))
                prompts = jnp.concatenate([prefix.astype(words.dtype), request], axis=1)
                mask = jnp.ones(prompts.shape[:2], bool)
                for way, count in beams.items():
                    length = self.config.lm.length
                    captions[way] += write_texts(
                        self.lm, lm_params, prompts, mask, length=length, beams=count
                    )[:real]
                for number in range(self._tokens.ids.shape[1]):
                    tokens = (self._tokens.ids[rows, number], self._tokens.lengths[rows, number])
                    losses = to_host(nats(prefix, *deal(tokens, lm_params)))
                    total += float(losses[:real].sum())
                done += real
                progress.update(done)
        return captions, total / int(self._tokens.lengths.sum())

    @cached_property
    def _nearest(self) -> tuple[Captions, Row]:
        """The row of training captions, which training does not change."""
        captions = {"greedy": self.known.nearest(self.images.x)}
        return captions, self._scores(captions)

    def _scores(self, captions: Captions) -> Row:
        """Return all metrics; greedy decoding's carry no prefix."""
        row: Row = {}
        for way, texts in captions.items():
            prefixed = [f"{PREFIX}{text}" for text in texts]
            if cut := too_long(self.scorer, prefixed, self.scorer.tokenizer.encode_all(prefixed)):
                _say_cut("written caption", cut)
            # What a model writes changes with its training and would only fill the cache.
            features = self.scorer.text_features(prefixed, truncate=True)
            pair = (self._images, features)
            scores = caption_scores(texts, self.texts.captions) | {
                "clip_score": float(clip_scores(*pair).mean()),
                "ref_clip_score": float(
                    ref_clip_scores(*pair, self._references, self._owner).mean()
                ),
            }
            prefix = "" if way == "greedy" else f"{way}/"
            row |= {f"{prefix}{metric}": value for metric, value in scores.items()}
        return row

    def _page(self, captions: Mapping[str, Captions]) -> UInt8[np.ndarray, "h w 3"]:
        pictures = self.texts.pictures
        images = np.unique(np.linspace(0, len(pictures) - 1, self.config.pictures).astype(int))
        lines = []
        for image in images:
            written = [f"{name}: {ways['greedy'][image]}" for name, ways in captions.items()]
            lines.append([*written, f"people: {self.texts.captions[image][0]}"])
        return text_picture([pictures.load(int(image)) for image in images], lines)
