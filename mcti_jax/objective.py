"""MC-TI's objective over all rows: what each of them loses, and what is summed."""

from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree
from ml_collections import ConfigDict

from common.choices import check_choice
from common.errors import UserError
from mcti_jax.draws import draw
from mcti_jax.joint import sum_over_images
from mcti_jax.layout import RowLayout
from mcti_jax.losses import Rows, row_losses
from mcti_jax.networks import Networks
from mcti_jax.rows import sum_over_rows

GAMMA_SCHEDULES = ("constant", "exponential")
CLASSIFICATIONS = ("paper", "joint", "both")


def gamma_factor(config: ConfigDict) -> Callable[[Array], Array]:
    """Return gamma's schedule as a function: update -> factor.

    "exponential" is what the reference computes and never uses: from gamma down to `gamma_end`
    over `gamma_horizon` updates (its `cls_warm_up_step`).
    """
    check_choice("gamma_schedule", config.gamma_schedule, GAMMA_SCHEDULES)
    if config.gamma_schedule == "constant" or not config.gamma:
        return lambda step: jnp.ones(())
    if min(config.gamma_end, config.gamma_horizon) <= 0:
        raise UserError(
            f"gamma_end={config.gamma_end} and gamma_horizon={config.gamma_horizon} must be "
            "positive for gamma_schedule=exponential."
        )
    ratio = config.gamma_end / config.gamma
    return lambda step: ratio ** jnp.minimum(step / config.gamma_horizon, 1.0)


@dataclass(frozen=True)
class Objective:
    """The scalar that the loop differentiates; all arrays come as arguments."""

    networks: Networks
    layout: RowLayout
    config: ConfigDict

    def __call__(
        self, trainable: PyTree, frozen: PyTree, batch: PyTree, key: Key[Array, ""]
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        """Return the sum over rows of their losses, and means over classes for each variant.

        In the paper's form the sum makes each row's gradient what it would be alone (spec 6.2);
        AdamW being element-wise, all rows together train as they would one by one.
        """
        shared = dict(frozen)
        rows, start, tokens = shared.pop("rows"), shared.pop("start"), trainable["tokens"]
        factor = gamma_factor(self.config)(batch["step"])
        kinds, total, metrics = self.config.classification, jnp.zeros(()), {}
        if self.config.alpha or kinds != "joint":
            total, metrics = self._row_terms(tokens, rows, shared, key, factor)
        if kinds != "paper":
            joint, parts = self._joint_term(tokens, rows, shared, key, factor)
            total, metrics = total + joint, metrics | parts
        moved = jnp.linalg.norm(tokens - start, axis=-1) / jnp.linalg.norm(start, axis=-1)
        metrics["drift"] = moved.mean(axis=-1)
        return total, self._means(metrics)

    def _row_terms(
        self, tokens: Array, rows: Rows, shared: PyTree, key: Array, factor: Array
    ) -> tuple[Array, dict[str, Array]]:
        """Return the terms in which no row reads another's token: denoising and the paper's."""
        config, networks = self.config, self.networks

        def losses(tokens: Array, rows: Rows, shared: PyTree) -> tuple[Array, dict]:
            frozen, key, factor = shared
            draws = draw(
                key,
                rows.label,
                rows.entries,
                frozen["bank"].counts,
                samples=config.samples,
                feature_draws=config.feature_draws,
                latent=rows.mean.shape[2:],
                timesteps=networks.schedule.num_train_timesteps,
                templates=frozen["prompts"][0].slot.size,
                shared_features=config.shared_features,
            )
            if rows.prompt is not None:
                own = jnp.take_along_axis(rows.prompt, draws.entry, axis=1)
                draws = draws.replace(template=own)
            return row_losses(
                networks,
                frozen,
                tokens,
                rows,
                draws,
                classified=config.classification != "joint",
                logit_scale=config.logit_scale,
                gamma_factor=factor,
            )

        return sum_over_rows(
            losses, tokens, rows, (shared, key, factor), at_once=self.layout.at_once
        )

    def _joint_term(
        self, tokens: Array, rows: Rows, shared: PyTree, key: Array, factor: Array
    ) -> tuple[Array, dict[str, Array]]:
        """Return the term in which each image reads the tokens of all classes."""
        config = self.config
        return sum_over_images(
            self.networks,
            {name: shared[name] for name in ("params", "class_prompts", "bank")},
            tokens,
            rows,
            key,
            config.joint.weight * factor,
            problem=jnp.asarray(self.layout.problems()),
            kept=shared.get("kept"),
            logit_scale=config.joint.logit_scale,
            photos=config.joint.photos,
            at_once=self.layout.at_once,
        )

    def _means(self, rows: dict[str, Array]) -> dict[str, Array]:
        averaging = self.layout.averaging()
        return {
            f"{variant.name}/{name}": averaging[i] @ values
            for name, values in rows.items()
            for i, variant in enumerate(self.layout.variants)
        }
