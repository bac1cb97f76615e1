"""MC-TI as the training loop sees it."""

from dataclasses import dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, PyTree
from ml_collections import ConfigDict

from common.clip import CLIP
from common.clip.tokenizer import Tokenizer
from common.data.templates import TEMPLATES
from common.diffusion import SAMPLERS, StableDiffusion
from common.errors import UserError
from common.evaluation.figures import write_png
from common.training import Evaluation, Loaded, Method, say
from mcti_jax.evaluation import evaluate
from mcti_jax.formats import LearnedToken, token_words, write_token
from mcti_jax.losses import Networks
from mcti_jax.material import Encoded, data_fingerprint, gather
from mcti_jax.objective import (
    AnyArray,
    Layout,
    Objective,
    class_bank,
    class_latents,
    gamma_factor,
    prepare,
)
from mcti_jax.outline import describe
from mcti_jax.prompts import Prompts

TEMPLATE_SET = "textual_inversion"


@dataclass(frozen=True)
class Steps:
    """The loop's data source: all of MC-TI's data lie on the devices, so only steps are fed."""

    fingerprint: str

    def batch(self, step: int) -> dict[str, np.float32]:
        """The update's number, for the schedule of gamma."""
        return {"step": np.float32(step)}


def learning_rate(config: ConfigDict) -> float:
    """The rate that AdamW uses: with `scale_lr` the reference multiplies it by its batch."""
    return config.learning_rate * (config.samples if config.scale_lr else 1)


def shares_text_tower(sd: StableDiffusion, clip: CLIP) -> bool:
    """Whether Stable Diffusion conditions on CLIP's own text tower (1.x does).

    Stable Diffusion 2.x drops CLIP's last block, so the class feature needs a pass of its own.
    """
    return sd.text_tower.config.layers == clip.text_tower.config.layers


def make_networks(config: ConfigDict, sd: StableDiffusion, clip: CLIP) -> Networks:
    """The modules that the objective runs."""
    unet = sd.unet.clone(attention=config.attention, remat=config.remat)
    return Networks(
        unet=unet if config.alpha else None,
        schedule=sd.schedule,
        text=sd.text_tower,
        clip_text=None if shares_text_tower(sd, clip) else clip.text_tower,
        latent_scale=sd.vae.config.scaling_factor,
    )


def training_prompts(config: ConfigDict, tokenizer: Tokenizer, diffusion: bool) -> Prompts:
    """The 27 templates; at full length where a U-Net reads them, padding and all."""
    prompts = Prompts.from_templates(tokenizer, TEMPLATES[TEMPLATE_SET], config.vectors)
    return prompts if diffusion else prompts.cut()


def initial_vectors(
    config: ConfigDict, tokenizer: Tokenizer, table: Float[AnyArray, "v d"]
) -> Float[AnyArray, "n d"]:
    """Every learned vector begins as the embedding of one coarse noun."""
    ids = tokenizer.encode(config.init_word)
    if len(ids) != 1:
        pieces = " ".join(tokenizer.decode(i) for i in ids) or "nothing"
        raise UserError(
            f"init_word={config.init_word!r} is {len(ids)} tokens ({pieces}): "
            "choose a noun that is one token."
        )
    return table[np.repeat(ids, config.vectors)].astype(np.float32)


def check_options(config: ConfigDict, sd: StableDiffusion) -> None:
    """Refuses options that do not fit, before time is spent on encoding photos."""
    for name in ("vectors", "samples", "feature_draws"):
        if config[name] < 1:
            raise UserError(f"{name}={config[name]} must be at least 1.")
    if config.generate.prompt.count("{}") != 1:
        raise UserError(
            f"generate.prompt={config.generate.prompt!r} needs one {{}} for the learned word."
        )
    training_prompts(config, sd.tokenizer, bool(config.alpha)).pool_at(config.pool)
    initial_vectors(config, sd.tokenizer, sd.params["text"]["token_embedding"])
    gamma_factor(config)
    if config.generate.sampler not in SAMPLERS:
        raise UserError(
            f"generate.sampler={config.generate.sampler!r} is unknown; choose one of "
            f"{', '.join(SAMPLERS)}."
        )


def frozen_tree(
    objective: Objective, sd: StableDiffusion, clip: CLIP, labels: np.ndarray, encoded: Encoded
) -> PyTree:
    """Everything that the objective reads and never changes.

    It selects and casts on the host; under `jax.eval_shape` it says what it would select.
    """
    config, layout, networks = objective.config, objective.layout, objective.networks
    params = {
        "text": sd.params["text"],
        "projection": clip.params["text"]["projection"]["kernel"].astype(np.float32),
    }
    diffusion = networks.unet is not None
    if diffusion:
        params["unet"] = sd.params["unet"]
    prompts = training_prompts(config, sd.tokenizer, diffusion)
    table = sd.params["text"]["token_embedding"]
    frozen = {
        "params": params,
        "prompts": prepare(table, prompts, config.pool),
        "bank": class_bank(encoded.features, labels, layout.classes, config.prototypes),
        "rows": class_latents(layout, encoded.mean, encoded.logvar, labels),
        "start": initial_vectors(config, sd.tokenizer, table),
    }
    if networks.clip_text is not None:
        params["clip_text"] = clip.params["text"]
        clip_prompts = training_prompts(config, clip.tokenizer, diffusion=False)
        clip_table = clip.params["text"]["token_embedding"]
        frozen["clip_prompts"] = prepare(clip_table, clip_prompts, config.pool)
    return frozen


class MCTI(Method):
    """Learns K tokens at once and evaluates them."""

    name = "mcti"
    trainable_rules = (("tokens", P("data")),)
    frozen_rules = (("rows/.*", P("data")),)

    def __init__(self, config: ConfigDict):
        self.config = config

    def load(self, config: ConfigDict, mesh: Mesh) -> Loaded:
        """Loads models and photos, fills the caches and lays the rows out on the mesh."""
        self.material = gather(config)
        if not len(self.material.test):
            say(f"{config.data} leaves no photos to test on, so no accuracy is measured.")
        sd, clip = self.material.sd, self.material.clip
        self._plan(sd, clip, len(self.material.classnames), mesh)
        check_options(config, sd)
        frozen = frozen_tree(
            self.objective, sd, clip, self.material.train.labels, self.material.encoded
        )
        self.start = frozen["start"]
        return Loaded(
            frozen=frozen,
            source=Steps(data_fingerprint(self.material)),
            fingerprints={"model": sd.fingerprint, "clip": clip.fingerprint},
        )

    def abstract(self, mesh: Mesh) -> Loaded:
        """What `load` would give, as shapes and dtypes; `evaluate` and `save` need `load`."""
        outline = describe(self.config, mesh.devices.flat[0].platform)
        self._plan(outline.sd, outline.clip, outline.classes, mesh)

        def assemble(sd_params: PyTree, clip_params: PyTree, encoded: Encoded) -> PyTree:
            sd = replace(outline.sd, params=sd_params)
            clip = replace(outline.clip, params=clip_params)
            return frozen_tree(self.objective, sd, clip, outline.labels, encoded)

        frozen = jax.eval_shape(assemble, outline.sd.params, outline.clip.params, outline.encoded)
        self.start = np.zeros(frozen["start"].shape, np.float32)
        return Loaded(frozen, Steps("abstract"))

    def _plan(self, sd: StableDiffusion, clip: CLIP, classes: int, mesh: Mesh) -> None:
        self.layout = Layout.of(self.config, classes, mesh.shape["data"])
        networks = make_networks(self.config, sd, clip)
        self.objective = Objective(networks, self.layout, self.config)

    def init(self, key: Array) -> PyTree:
        """Every row starts from the same noun; there is nothing random about it."""
        del key
        return {"tokens": jnp.broadcast_to(self.start, (self.layout.size, *self.start.shape))}

    def optimizer(self) -> optax.GradientTransformation:
        """AdamW without clipping, on the learned rows alone.

        On a full token table whose other rows are restored after each step, which is what the
        reference does, the learned rows come out bitwise the same (spec 1.5, step 10).
        """
        config = self.config
        return optax.adamw(
            learning_rate(config),
            b1=config.beta1,
            b2=config.beta2,
            eps=1e-8,
            weight_decay=config.weight_decay,
        )

    def loss(
        self, trainable: PyTree, frozen: PyTree, batch: PyTree, key: Array
    ) -> tuple[Array, dict[str, Array]]:
        """See `Objective`."""
        return self.objective(trainable, frozen, batch, key)

    def tokens(self, trainable: PyTree) -> Float[np.ndarray, "v k n d"]:
        """The learned vectors of each variant, without padding."""
        return self.layout.by_variant(np.asarray(jax.device_get(trainable["tokens"])))

    def evaluate(self, trainable: PyTree, frozen: PyTree) -> Evaluation:
        """Accuracy of the tokens and of the baselines; pictures that the tokens make."""
        by_variant = {
            variant.name: tokens
            for variant, tokens in zip(self.layout.variants, self.tokens(trainable), strict=True)
        }
        evaluation = evaluate(self.config, self.material, by_variant, self.start)
        self.pictures = evaluation.pictures
        return evaluation

    def save(self, trainable: PyTree, workdir: Path) -> None:
        """Writes `tokens/`, one file per class, and the pictures of the last evaluation."""
        for name, picture in self.pictures.items():
            write_png(workdir / f"{name}.png", picture)
        config = self.config
        names = self.material.classnames
        rows = zip(token_words(names), names, self.tokens(trainable)[0], strict=True)
        for index, (word, name, vectors) in enumerate(rows):
            facts = {
                "class": name,
                "class_index": index,
                "base_model": config.model,
                "fingerprint": self.material.sd.fingerprint,
                "pool": config.pool,
                "templates": TEMPLATE_SET,
                "step": config.updates,
                "alpha": config.alpha,
                "gamma": config.gamma,
                "logit_scale": config.logit_scale,
                "init_word": config.init_word,
            }
            metadata = {key: str(value) for key, value in facts.items()}
            write_token(workdir / "tokens", LearnedToken(word, vectors, metadata), "diffusers")
