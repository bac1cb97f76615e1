"""Whole problems for the tiny networks, with every number known."""

import functools
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from common.clip import TextTower
from common.diffusion import NoiseSchedule, UNet, UNetConfig
from common.diffusion.text_encoder import FIRST, TextEncoder
from mcti_jax.classifier import prompt_features
from mcti_jax.layout import RowLayout, class_bank, class_latents, kept_rows, prepare
from mcti_jax.losses import row_losses
from mcti_jax.networks import Networks
from mcti_jax.objective import Objective
from mcti_jax.prompts import Prompts
from tests.mcti.tiny import (
    FEATURES,
    LATENT,
    LATENT_SCALE,
    QUICK,
    SCHEDULE,
    TEXT,
    UNET,
    NumberTokenizer,
    random_params,
    settings,
)

# The slot at three places; the first has words behind it, the only case in which the learned
# token is not the last but one.
TEMPLATES = ("3 14 {} 15 92", "65 35 89 79 {}", "3 14 65 35 89 79 32 {}")
LABELS = np.repeat(np.arange(5), (3, 2, 4, 1, 3))


@dataclass(frozen=True)
class Photos:
    """What the caches hold of some photos: of each itself, then of each its mirror."""

    labels: np.ndarray
    features: np.ndarray
    mean: np.ndarray
    logvar: np.ndarray

    def entries(self, field, label):
        """All that one class draws from."""
        own = self.labels == label
        photos, mirrors = getattr(self, field)
        return np.concatenate([photos[own], mirrors[own]])


@dataclass(frozen=True)
class Problem:
    """An objective with all that it reads, and what it was made of."""

    objective: Objective
    frozen: dict
    tokens: np.ndarray
    key: jax.Array
    photos: Photos
    prompts: Prompts

    @property
    def layout(self):
        return self.objective.layout

    def on(self, devices):
        """Arguments of the objective on a mesh of the first devices, laid out for training."""
        axes = (AxisType.Auto, AxisType.Auto)
        mesh = jax.make_mesh(
            (devices, 1), ("data", "model"), axis_types=axes, devices=jax.devices()[:devices]
        )
        by_row, everywhere = NamedSharding(mesh, P("data")), NamedSharding(mesh, P())
        frozen = jax.device_put(self.frozen, everywhere)
        for name in {"rows", "kept"} & set(frozen):
            frozen[name] = jax.device_put(self.frozen[name], by_row)
        tokens = {"tokens": jax.device_put(self.tokens, by_row)}
        batch = {"step": jnp.float32(0)}
        return mesh, jax.device_put((batch, self.key), everywhere), tokens, frozen

    def lowered(self, devices=1):
        """The program of value and gradient before it is compiled, and its arguments."""
        mesh, (batch, key), tokens, frozen = self.on(devices)
        with jax.set_mesh(mesh):
            program = jax.jit(
                jax.value_and_grad(self.objective, has_aux=True),
                out_shardings=(None, {"tokens": NamedSharding(mesh, P("data"))}),
            )
            arguments = tokens, frozen, batch, key
            return program.lower(*arguments), arguments

    def compiled(self, devices=1):
        """The program of value and gradient, and its arguments."""
        program, arguments = self.lowered(devices)
        return program.compile(compiler_options=QUICK), arguments

    def differentiate(self, devices=1):
        """Runs it once."""
        program, arguments = self.compiled(devices)
        (value, metrics), gradient = program(*arguments)
        rows = np.asarray(gradient["tokens"])
        return ObjectiveOutcome(
            value=float(value),
            metrics=jax.tree.map(float, metrics),
            rows=rows,
            gradient=self.layout.by_variant(rows),
            program=program.as_text(),
        )


@dataclass(frozen=True)
class ObjectiveOutcome:
    """An objective's outcome: `gradient` by variant and class, `rows` with padding."""

    value: float
    metrics: dict
    rows: np.ndarray
    gradient: np.ndarray
    program: str


def learning(whole, learned, devices=1, names=None):
    """The same problem where some classes alone are learned, and the tokens of the others known.

    With `names`, texts `[f t p]`, the classes have these instead of the others' tokens.
    """
    config, networks, frozen = whole.objective.config, whole.objective.networks, dict(whole.frozen)
    layout = RowLayout.of(config, whole.layout.classes, devices, learned)
    photos, tokens = whole.photos, whole.tokens[: whole.layout.classes]
    frozen["rows"] = class_latents(layout, photos.mean, photos.logvar, photos.labels)
    if config.classification != "paper":
        tower, name = networks.class_tower
        params = frozen["params"][name], frozen["params"]["projection"]
        kept = tokens[list(layout.kept)]
        texts = np.asarray(prompt_features(tower, *params, frozen["class_prompts"], kept))
        if names is None:
            frozen["kept"] = kept_rows(layout, config.gamma, texts, texts[:0])
        else:
            alone = replace(layout, learned=tuple(range(layout.classes)))
            frozen["kept"] = kept_rows(alone, config.gamma, texts[:0], names)
    objective = Objective(networks, layout, config)
    return replace(whole, objective=objective, frozen=frozen, tokens=layout.spread(tokens))


def random_photos(labels, latent, seed=0):
    """Features far from unit length, and posteriors."""
    rng = np.random.default_rng(seed)
    mean, logvar = rng.standard_normal((2, 2, len(labels), *latent)).astype(np.float32)
    features = 3 * rng.standard_normal((2, len(labels), FEATURES)).astype(np.float32)
    return Photos(labels, features, mean, logvar - 2)


def problem(*, devices=1, seed=0, own_clip_text=False, **changes):
    """Random photos under random networks.

    Args:
      devices: How many share the rows.
      seed: Of everything.
      own_clip_text: A deeper text tower for the class feature, as Stable Diffusion 2 needs.
      changes: Of the configuration.
    """
    config = settings(**changes)
    text = TextTower(TEXT)
    clip_text = TextTower(replace(TEXT, layers=2)) if own_clip_text else None
    unet = UNet(UNetConfig.from_dict(UNET)) if config.alpha else None
    states = jnp.zeros((1, 7, TEXT.width))
    inputs = {
        "text": (text, states, jnp.zeros(1, int)),
        "clip_text": (clip_text, states, jnp.zeros(1, int)),
        "unet": (unet, jnp.zeros((1, *LATENT)), jnp.zeros(1, int), states),
    }
    params = {name: random_params(*each, seed=seed) for name, each in inputs.items() if each[0]}
    rng = np.random.default_rng(seed)
    params["projection"] = rng.normal(0, 0.2, (TEXT.width, FEATURES)).astype(np.float32)
    return assemble(
        config,
        Networks(
            unet, NoiseSchedule(**SCHEDULE), (TextEncoder(FIRST, text),), clip_text, LATENT_SCALE
        ),
        params,
        Prompts.from_templates(NumberTokenizer(), TEMPLATES, config.vectors),
        random_photos(LABELS, LATENT, seed),
        devices,
        seed,
    )


def assemble(config, networks, params, prompts, photos, devices=1, seed=0):
    """Lays out a problem the way the method does."""
    classes = int(photos.labels.max()) + 1
    layout = RowLayout.of(config, classes, devices)
    table = params["text"]["token_embedding"]
    read = prompts if networks.unet else prompts.cut()
    frozen = {
        "params": params,
        "prompts": (prepare(table, read, config.pool),),
        "bank": class_bank(photos.features, photos.labels, classes, config.prototypes),
        "rows": class_latents(layout, photos.mean, photos.logvar, photos.labels),
        "start": np.repeat(table[7:8], config.vectors, axis=0),
    }
    if networks.clip_text:
        clip_table = params["clip_text"]["token_embedding"]
        frozen["clip_prompts"] = prepare(clip_table, prompts.cut(), config.pool)
    if config.classification != "paper":
        frozen["class_prompts"] = frozen.get("clip_prompts") or prepare(
            table, prompts.cut(), config.pool
        )
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 0.1, (layout.size, config.vectors, table.shape[1]))
    return Problem(
        Objective(networks, layout, config),
        frozen,
        tokens=(frozen["start"] + noise).astype(np.float32),
        key=jax.random.key(seed),
        photos=photos,
        prompts=prompts,
    )


@functools.partial(jax.jit, static_argnums=(0, 5), compiler_options=QUICK)
def losses(networks, tokens, frozen, rows, draws, logit_scale):
    """Sum over rows, with the rows' own losses and parts, and the gradient."""

    def total(tokens):
        values, parts = row_losses(
            networks,
            frozen,
            tokens,
            rows,
            draws,
            logit_scale=logit_scale,
            gamma_factor=jnp.ones(()),
        )
        return values.sum(), (values, parts)

    (_, found), gradient = jax.value_and_grad(total, has_aux=True)(tokens)
    return *found, gradient
