"""MC-TI as the training loop sees it; `mcti_jax.assembly` builds what it reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, PyTree
from ml_collections import ConfigDict

from common.attention import choose_attention
from common.checks import check_unread
from common.clip import CLIP
from common.config import changed
from common.data.shared import say_shared
from common.data.templates import TEMPLATES
from common.diffusion import StableDiffusion
from common.paths import AnyPath
from common.training import Evaluation, Method, RunInputs, say
from common.training.rates import make_rate, rate_at
from common.training.types import Card, Tell, unheard
from configs.mcti import defaults, get_config
from mcti_jax.assembly import Additions, begin, check_options, frozen_tree
from mcti_jax.baselines import baseline_scores
from mcti_jax.description import describe, other_weights
from mcti_jax.drift import drift_table
from mcti_jax.evaluation import evaluate
from mcti_jax.fingerprints import fingerprints, whole_fingerprint
from mcti_jax.formats import write_token
from mcti_jax.layout import RowLayout
from mcti_jax.legend import legend, update_terms
from mcti_jax.material import EncodedPhotos, gather
from mcti_jax.measuring import measure_tokens
from mcti_jax.networks import make_networks
from mcti_jax.objective import Objective
from mcti_jax.options import UNREAD, check_values, classification_of, shots_of
from mcti_jax.outline import check_outlined, outline_of
from mcti_jax.photos import captions_of
from mcti_jax.previews import check_preview, draw_preview
from mcti_jax.publishing import describe_tokens
from mcti_jax.readers import widths_of
from mcti_jax.saving import MODEL, TOKENS, learned_tokens, noted, read_run_classes
from mcti_jax.starts import learned_before, learned_classes


@dataclass(frozen=True)
class Steps:
    """The loop's data source: all of MC-TI's data lie on the devices, so only steps are fed."""

    fingerprint: str

    def batch(self, step: int) -> dict[str, np.float32]:
        """Return the update's number, for the schedule of gamma."""
        return {"step": np.float32(step)}


def learning_rate(config: ConfigDict) -> float:
    """Return AdamW's largest rate: with `scale_lr` the reference multiplies it by its batch."""
    return config.learning_rate * (config.samples if config.scale_lr else 1)


class MCTI(Method):
    """Learns K tokens at once and evaluates them."""

    name = "mcti"
    trainable_rules = (("tokens", P("data")),)
    frozen_rules = (("(rows|kept)/.*", P("data")),)
    writes = (TOKENS, "samples.png", "confusion.png")
    evaluation_fields = ("generate.",)

    get_config = staticmethod(get_config)

    @property
    def terms(self) -> Mapping[str, str]:
        """What an update reports of the terms that the config has."""
        return update_terms(self.config.classification)

    @classmethod
    def complete(cls, config: ConfigDict) -> ConfigDict:
        """Fill in what depends on other fields: photos of each class, the classification term."""
        check_values(config)
        found = {"shots": shots_of(config), "classification": classification_of(config)}
        config = changed(config, found)
        check_unread(config, defaults(), UNREAD)
        return config

    def load(self, mesh: Mesh, tell: Tell = unheard) -> RunInputs:
        """Load models and photos, fill the caches and lay the rows out on the mesh."""
        config = self.config
        choose_attention(config.attention, mesh.devices.flat[0])  # Refuses before it loads.
        self.material = gather(config)
        sd, clip, classnames = self.material.sd, self.material.clip, self.material.classnames
        prints = (sd.fingerprint, sd.text_fingerprint)
        self.known = learned_before(config, classnames, widths_of(sd), *prints)
        learned = learned_classes(config, classnames, self.material.added, self.known)
        self._plan(sd, clip, len(classnames), mesh, learned)
        check_options(config, sd)
        check_preview(config, sd, classnames, self.layout.learned)
        captioned = captions_of(config, self.material.train, classnames)
        tell(describe(config, self.material, self.known, self.layout.kept, captioned))
        say(f"AdamW on the tokens alone, effective learning rate {learning_rate(config):g}.")
        if line := other_weights(config, self.objective.networks):
            say(line)
        self.material.encode_all()
        say_shared(self.material.train, self.material.test)
        self.first = begin(config, self.material, self.known)
        additions = Additions(self.first, self.material.named_texts, captioned)
        labels, encoded = self.material.train.labels, self.material.encoded
        frozen = frozen_tree(self.objective, sd, clip, labels, encoded, additions)
        self.start = frozen["start"]
        return RunInputs(
            frozen=frozen,
            source=Steps(self.material.train.fingerprint),
            fingerprints=fingerprints(config, self.material, self.first, captioned),
            notes={
                "classnames": list(classnames),
                "learned": list(self.layout.learned),
                **noted(widths_of(sd)),
            },
            earlier={MODEL: lambda: whole_fingerprint(config, sd)},
        )

    def abstract(self, mesh: Mesh) -> RunInputs:
        """Return the shapes and dtypes of `load`; `evaluate` and `save` need `load`."""
        check_outlined(self.config)
        outline = outline_of(self.config, mesh.devices.flat[0].platform)
        self._plan(outline.sd, outline.clip, outline.classes, mesh)

        first = TEMPLATES[self.config.templates][0]
        additions = Additions(captioned=(first,) * len(outline.labels) * self.config.captions)

        def assemble(sd_params: PyTree, clip_params: PyTree, encoded: EncodedPhotos) -> PyTree:
            sd = replace(outline.sd, params=sd_params)
            clip = replace(outline.clip, params=clip_params)
            return frozen_tree(self.objective, sd, clip, outline.labels, encoded, additions)

        frozen = jax.eval_shape(assemble, outline.sd.params, outline.clip.params, outline.encoded)
        self.start = np.zeros(frozen["start"].shape, np.float32)
        self.first = np.zeros((outline.classes, *self.start.shape), np.float32)
        return RunInputs(frozen, Steps("abstract"))

    def _plan(
        self,
        sd: StableDiffusion,
        clip: CLIP,
        classes: int,
        mesh: Mesh,
        learned: Sequence[int] | None = None,
    ) -> None:
        self.layout = RowLayout.of(self.config, classes, mesh.shape["data"], learned)
        self.real_rows = {".*tokens": len(self.layout.variants) * len(self.layout.learned)}
        attention = choose_attention(self.config.attention, mesh.devices.flat[0])
        networks = make_networks(self.config, sd, clip, attention)
        self.objective = Objective(networks, self.layout, self.config)

    def init(self, key: Array) -> PyTree:
        """Start every row from the same noun or from what `start` says; nothing is random."""
        del key
        return {"tokens": jnp.asarray(self.layout.spread(self.first))}

    def optimizer(self) -> optax.GradientTransformation:
        """Return AdamW without clipping, on the learned rows alone.

        On a full token table whose other rows are restored after each step, which is what the
        reference does, the learned rows come out bitwise the same (spec 1.5, step 10).
        """
        config = self.config
        return optax.adamw(
            make_rate(config, learning_rate(config), config.updates),
            b1=config.beta1,
            b2=config.beta2,
            eps=1e-8,
            weight_decay=config.weight_decay,
        )

    def learning_rates(self, step: int) -> Mapping[str, float]:
        """Return the rate that AdamW uses in an update."""
        rate = make_rate(self.config, learning_rate(self.config), self.config.updates)
        return {"learning_rate": rate_at(rate, step)}

    def loss(
        self, trainable: PyTree, frozen: PyTree, batch: PyTree, key: Array
    ) -> tuple[Array, dict[str, Array]]:
        """See `Objective`."""
        return self.objective(trainable, frozen, batch, key)

    def tokens(self, trainable: PyTree) -> Float[np.ndarray, "v k n d"]:
        """Return the vectors of all classes for each variant, those that were kept among them."""
        rows = self.layout.by_variant(np.asarray(jax.device_get(trainable["tokens"])))
        tokens = np.repeat(self.first[None], len(rows), axis=0)
        tokens[:, list(self.layout.learned)] = rows
        return tokens

    def evaluate(self, trainable: PyTree, frozen: PyTree) -> Evaluation:
        """Measure the accuracy of the tokens and the baselines; draw the tokens' pictures."""
        by_variant = {
            variant.name: tokens
            for variant, tokens in zip(self.layout.variants, self.tokens(trainable), strict=True)
        }
        return evaluate(self.config, self.material, by_variant, self.start, self._baselines)

    @cached_property
    def _baselines(self) -> Mapping[str, Mapping[str, float]]:
        return baseline_scores(self.material)

    def preview(self, trainable: PyTree, frozen: PyTree) -> Mapping[str, np.ndarray]:
        """Draw the prompts of `preview.prompts` with the tokens of the run's own variant."""
        del frozen
        sd, names = self.material.sd, self.material.classnames
        tokens = self.tokens(trainable)[0]
        return {"preview": draw_preview(self.config, sd, tokens, names, self.layout.learned)}

    def save(self, trainable: PyTree, evaluation: Evaluation, workdir: AnyPath) -> None:
        """Write `tokens/`, one file per class."""
        del evaluation
        sd = self.material.sd
        tokens = learned_tokens(
            self.config,
            self.tokens(trainable)[0],
            self.material.classnames,
            sd.fingerprint if self.config.alpha else sd.text_fingerprint,
            self.config.updates,
            {number: self.known[number] for number in self.layout.kept},
            widths_of(sd),
        )
        for token in tokens:
            write_token(workdir / TOKENS, token, "diffusers")

    def read(self, workdir: AnyPath) -> PyTree:
        """Return the vectors of the run's own variant, in the order of the classes."""
        tokens = read_run_classes(workdir)
        return {"tokens": np.stack([token.vectors for token in tokens])}

    @classmethod
    def publish(cls, config: ConfigDict, workdir: AnyPath, out: AnyPath) -> Card:
        """See `describe_tokens`."""
        del out
        return describe_tokens(config, workdir)

    @classmethod
    def measure(cls, config: ConfigDict, workdir: AnyPath, data: str | None) -> Evaluation:
        """See `measure_tokens`."""
        return measure_tokens(config, workdir, data, cls.name)

    @classmethod
    def tables(cls, config: ConfigDict, result: Mapping[str, Any]) -> Sequence[str]:
        """Return how far each token moved, and what the metrics mean."""
        del config
        tokens = result.get("details", {}).get("tokens")
        return [*([drift_table(tokens)] if tokens else []), f"\n{legend(result)}\n"]
