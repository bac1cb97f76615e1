"""What breaks MC-TI, and the test that notices.

python -m tests.mcti.mutations [NAME ...]
"""

from tests.mutations import Mutation, main

JOINT = "mcti/test_joint.py"
STARTS = "mcti/test_starts.py"

MUTATIONS = (
    Mutation(
        "EOS pooling instead of the placeholder",
        "mcti_jax/prompts.py",
        "self.slot + self.vectors - 1",
        "self.end",
        "mcti/test_prompts.py",
    ),
    Mutation(
        "EOS pooling by default",
        "configs/mcti.py",
        'config.pool = "placeholder"',
        'config.pool = "eos"',
        "mcti/test_method.py",
    ),
    Mutation(
        "features of mirrors missing",
        "mcti_jax/material.py",
        "self._features(self.train, MIRROR)",
        "self._features(self.train, ORIGINAL)",
        "mcti/test_material.py",
    ),
    Mutation(
        "posteriors of mirrors missing",
        "mcti_jax/encoding.py",
        "mirror(pixels) if flip else pixels",
        "pixels",
        "mcti/test_material.py",
    ),
    Mutation(
        "mirrors missing from the bank",
        "mcti_jax/layout.py",
        "features.reshape(-1, features.shape[-1])",
        "np.concatenate([features[0], features[0]])",
        "mcti/test_layout.py",
    ),
    Mutation(
        "image features not normalised",
        "mcti_jax/layout.py",
        "entries / (entries**2).sum(axis=-1, keepdims=True) ** 0.5",
        "entries / 1.0",
        "mcti/test_layout.py",
    ),
    Mutation(
        "text features not normalised",
        "mcti_jax/losses.py",
        'jnp.einsum("bp,bfkp->bfk", unit(text), images)',
        'jnp.einsum("bp,bfkp->bfk", text, images)',
        "mcti/test_losses.py",
    ),
    Mutation(
        "scale 100 instead of 10",
        "configs/mcti.py",
        "config.logit_scale = 10.0",
        "config.logit_scale = 100.0",
        "mcti/test_method.py",
    ),
    Mutation(
        "mean over classes instead of the sum",
        "mcti_jax/rows.py",
        "return values.sum(), (values, metrics)",
        "return values.mean(), (values, metrics)",
        "mcti/test_rows.py",
    ),
    Mutation(
        "0.18215 forgotten in the loss",
        "mcti_jax/losses.py",
        "latents = networks.latent_scale * (",
        "latents = 1.0 * (",
        "mcti/test_objective.py",
    ),
    Mutation(
        "0.18215 forgotten in the networks",
        "mcti_jax/assembly.py",
        "latent_scale=sd.vae.config.scaling_factor",
        "latent_scale=1.0",
        "mcti/test_method.py",
    ),
    Mutation(
        "target one class too far",
        "mcti_jax/losses.py",
        "label = jnp.repeat(rows.label, samples)",
        "label = jnp.repeat(rows.label, samples) + 1",
        "mcti/test_objective.py",
    ),
    Mutation(
        "rate not scaled by the samples",
        "mcti_jax/method.py",
        "(config.samples if config.scale_lr else 1)",
        "1",
        "mcti/test_method.py",
    ),
    Mutation(
        "weight decay missing",
        "mcti_jax/method.py",
        "weight_decay=config.weight_decay",
        "weight_decay=0.0",
        "mcti/test_learning.py",
    ),
    Mutation(
        "photo cropped instead of squashed",
        "mcti_jax/encoding.py",
        "SQUARES[square](split.load(photo), size)",
        "SQUARES[square](split.load(photo).crop((5, 0, 14, 9)), size)",
        "mcti/test_material.py",
    ),
    Mutation(
        "last class of a chunk untrained",
        "mcti_jax/rows.py",
        "return values, gradient, metrics",
        "return values, gradient.at[-1].set(0), metrics",
        "mcti/test_rows.py",
    ),
    Mutation(
        "remainder of the classes left out",
        "mcti_jax/rows.py",
        "per_device = -(-per_device // at_once) * at_once",
        "per_device = per_device // at_once * at_once",
        "mcti/test_rows.py",
    ),
    Mutation(
        "only the first of n vectors inserted",
        "mcti_jax/prompts.py",
        "(offset < vectors.shape[1])",
        "(offset < 1)",
        "mcti/test_learning.py",
    ),
    Mutation(
        "posterior's variance for its deviation",
        "mcti_jax/losses.py",
        "jnp.exp(0.5 * logvar)",
        "jnp.exp(logvar)",
        "mcti/test_objective.py",
    ),
    Mutation(
        "the joint term reads the texts of other variants",
        "mcti_jax/joint.py",
        "jnp.where(problem == problem[own][:, None, None], logits, -jnp.inf)",
        "logits",
        JOINT,
    ),
    Mutation(
        "images teach their own device's texts alone",
        "mcti_jax/joint.py",
        'lax.all_gather(own, "data", tiled=True)',
        'lax.all_gather(lax.stop_gradient(own), "data", tiled=True) + 0 * own.sum()',
        JOINT,
    ),
    Mutation(
        "what pads a class counts as its photo",
        "mcti_jax/joint.py",
        "share=real / jnp.minimum(count, photos)",
        "share=real / photos",
        JOINT,
    ),
    Mutation(
        "the joint term's photos are the first ones of a class",
        "mcti_jax/joint.py",
        "jnp.argsort(rank)[:photos]",
        "jnp.arange(photos)",
        JOINT,
    ),
    Mutation(
        "joint term without gamma",
        "mcti_jax/joint.py",
        "return weight * gamma * error, error, hit",
        "return weight * error, error, hit",
        JOINT,
    ),
    Mutation(
        "images of classes that stay do not ask",
        "mcti_jax/joint.py",
        "return values.sum() + further.sum(), ",
        "return values.sum(), ",
        JOINT,
    ),
    Mutation(
        "classes that stay are read in the templates of others",
        "mcti_jax/joint.py",
        "known = known[jnp.arange(len(known)), others.template]",
        "known = known[jnp.arange(len(known)), others.template[::-1]]",
        JOINT,
    ),
    Mutation(
        "what pads the classes that stay asks like the first variant",
        "mcti_jax/layout.py",
        "padding, constant_values=-1)",
        "padding, constant_values=0)",
        JOINT,
    ),
    Mutation(
        "classes that stay are learned, too",
        "mcti_jax/method.py",
        "learned = learned_classes(config, classnames, self.material.added, self.known)",
        "learned = tuple(range(len(classnames)))",
        STARTS,
    ),
    Mutation(
        "tokens of an earlier run go to the classes in their order",
        "mcti_jax/starts.py",
        "vectors[number] = token.vectors",
        "vectors[sorted(known).index(number)] = token.vectors",
        STARTS,
    ),
    Mutation(
        "mirrors of a feature folder stand at other places than their pictures",
        "common/data/feature_folder.py",
        "_stacked(root, order) if mirrors else None",
        "_stacked(root, order[::-1]) if mirrors else None",
        "data/test_feature_folder.py",
    ),
)

if __name__ == "__main__":
    main(MUTATIONS)
