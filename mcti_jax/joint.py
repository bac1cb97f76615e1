"""The joint classification term: which of the K classes' texts belongs to this image?

The paper's term asks a text which of K images shows its class, so that no class sees another's
token. This term asks images x of class k for their text:

    CE(s * [cos(x, u_1), ..., cos(x, u_K)], k)

with u_j the text feature of class j under a template that is drawn for it. All tokens of a
variant are one problem, so the K features, kilobytes to a few megabytes, meet on every device.
"""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax import lax
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Int, Key, PyTree

from common.clip.encode import unit
from common.gradients import with_gradient
from mcti_jax.conditions import read_prompts
from mcti_jax.losses import Bank, Kept, Rows
from mcti_jax.networks import Networks


@flax.struct.dataclass
class JointDraws:
    """The random choices of each row in one update.

    Attributes:
      template: Which prompt its token stands in, `[r]`.
      photo: Which image features of its class ask, `[r i]`.
      share: What each of them counts, `[r i]`; 0 where a class has fewer.
    """

    template: Any
    photo: Any
    share: Any


def draw_joint(
    key: Key[Array, ""], label: Int[Array, "r"], bank: Bank, *, photos: int, templates: int
) -> JointDraws:
    """Draw one update for the given rows; a row's draws depend on `key` and its label only.

    Args:
      key: The update's key.
      label: Class of each row.
      bank: Image features.
      photos: i, drawn without replacement; of a class with fewer all are taken. 0 for all.
      templates: Number of prompts.
    """
    most = bank.features.shape[1]
    photos = min(photos or most, most)
    key = jax.random.fold_in(key, 2)  # `draw` splits it in two, which takes 0 and 1.

    def row(label: Array) -> JointDraws:
        template_key, photo_key = jax.random.split(jax.random.fold_in(key, label))
        count = bank.counts[label]
        rank = jnp.where(jnp.arange(most) < count, jax.random.uniform(photo_key, (most,)), 1)
        real = jnp.arange(photos) < count
        return JointDraws(
            template=jax.random.randint(template_key, (), 0, templates),
            photo=jnp.where(real, jnp.argsort(rank)[:photos], 0),
            share=real / jnp.minimum(count, photos),
        )

    return jax.vmap(row)(label)


def class_texts(
    networks: Networks,
    frozen: PyTree,
    tokens: Float[Array, "r n d"],
    template: Int[Array, "r"],
    *,
    at_once: int,
) -> Float[Array, "r p"]:
    """Return each row's text feature under one template, at unit length.

    The text tower's activations are computed again for the gradient, `at_once` rows at a time.
    """
    tower, name = networks.class_tower
    params, prompts = frozen["params"], frozen["class_prompts"]

    @jax.checkpoint
    def row(inputs: tuple[Array, Array]) -> Array:
        vectors, template = inputs
        output = read_prompts(tower, params[name], prompts, template[None], vectors[None])
        return unit(output.pooled.astype(jnp.float32) @ params["projection"])[0]

    return lax.map(row, (networks.class_vectors(tokens), template), batch_size=at_once)


def classify_images(
    images: Float[Array, "b i p"],
    texts: Float[Array, "r p"],
    own: Int[Array, "b"],
    scale: float,
    problem: Int[Array, "r"],
) -> tuple[Float[Array, "b i"], Float[Array, "b i"]]:
    """Return cross-entropy and accuracy of "which of K texts belongs to this picture?".

    Args:
      images: Unit-length features.
      texts: Unit-length features of all rows.
      own: Which of the texts belongs to the images.
      scale: The logit scale s.
      problem: Which variant each text is of; those of other variants take no part.
    """
    logits = scale * jnp.einsum("bip,rp->bir", images, texts)
    logits = jnp.where(problem == problem[own][:, None, None], logits, -jnp.inf)
    target = jnp.broadcast_to(own[:, None], logits.shape[:2])
    error = optax.softmax_cross_entropy_with_integer_labels(logits, target)
    return error, (jnp.argmax(logits, axis=-1) == target).astype(jnp.float32)


def sum_over_images(
    networks: Networks,
    frozen: PyTree,
    tokens: Float[Array, "r n d"],
    rows: Rows,
    key: Key[Array, ""],
    weight: Float[Array, ""],
    *,
    problem: Int[Array, "r"],
    logit_scale: float,
    photos: int,
    at_once: int,
    kept: Kept | None = None,
) -> tuple[Float[Array, ""], dict[str, Float[Array, "r"]]]:
    """Return the sum over rows of the mean over their images, and the rows' metrics.

    Each device makes the text features of its rows and asks the images of its rows; between
    the two the features are gathered, and what each image says to each text is summed and sent
    back to the text's device. Nothing else is sent, whatever the size of the networks. Classes
    whose tokens stay as they are take part with texts that are known, and their images ask, too.

    Args:
      networks: Modules.
      frozen: `params` of the networks, `class_prompts`, `bank`.
      tokens: The learned vectors, sharded over the mesh's `data` axis.
      rows: Labels and weights of the rows, sharded alike.
      key: The update's key.
      weight: Of the term, times each row's gamma.
      problem: Which variant each row is of.
      logit_scale: s.
      photos: Images of each row, see `draw_joint`.
      at_once: Rows whose texts one device reads together.
      kept: The classes that have no row, sharded like the rows; they belong to the first variant.
    """
    if kept is not None:
        problem = jnp.concatenate([problem, kept.problem])
    places = jnp.arange(len(problem))

    def device(tokens: Array, asking: tuple[PyTree, ...], shared: PyTree) -> PyTree:
        frozen, problem, key, weight = shared
        bank, templates = frozen["bank"], frozen["class_prompts"].slot.size
        ours, theirs = asking

        def draw(label: Array) -> JointDraws:
            return draw_joint(key, label, bank, photos=photos, templates=templates)

        def errors(asking: tuple, draws: JointDraws, texts: Array) -> tuple[Array, Array, Array]:
            place, label, gamma = asking
            images = bank.features[label[:, None], draws.photo]
            parts = classify_images(images, texts, place, logit_scale, problem)
            error, hit = ((draws.share * part).sum(axis=1) for part in parts)
            return weight * gamma * error, error, hit

        def total(tokens: Array) -> tuple[Array, tuple]:
            draws = draw(ours[1])
            own = class_texts(networks, frozen, tokens, draws.template, at_once=at_once)
            texts = lax.all_gather(own, "data", tiled=True)
            if theirs is None:
                values, *metrics = errors(ours, draws, texts)
                return values.sum(), ((values, None), *metrics)
            asking, known = theirs
            others = draw(asking[1])
            known = known[jnp.arange(len(known)), others.template]
            texts = jnp.concatenate([texts, lax.all_gather(known, "data", tiled=True)])
            values, *metrics = errors(ours, draws, texts)
            further, *_ = errors(asking, others, texts)
            return values.sum() + further.sum(), ((values, further), *metrics)

        gradient, results = jax.grad(total, has_aux=True)(tokens)
        return gradient, *results

    first, by_row = len(tokens), P("data")
    theirs = kept and ((places[first:], kept.label, kept.gamma), kept.texts)
    gradient, values, error, hit = jax.shard_map(
        device,
        in_specs=(by_row, by_row, P()),
        out_specs=(by_row,) * 4,
        axis_names={"data"},
        check_vma=False,
    )(
        lax.stop_gradient(tokens),
        ((places[:first], rows.label, rows.gamma), theirs),
        (frozen, problem, key, weight),
    )
    metrics = {"joint_ce": error, "joint_accuracy": hit}
    return with_gradient(sum(x.sum() for x in jax.tree.leaves(values)), tokens, gradient), metrics
