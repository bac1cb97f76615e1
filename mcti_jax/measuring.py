"""What the saved tokens of a run come to, on its own photos or others of the same classes."""

from ml_collections import ConfigDict

from common.config import changed
from common.errors import UserError
from common.paths import AnyPath
from common.training import Evaluation
from mcti_jax.assembly import check_options
from mcti_jax.evaluation import evaluate
from mcti_jax.formats import in_class_order, require_usable, require_vectors
from mcti_jax.material import gather
from mcti_jax.options import check_values
from mcti_jax.readers import readers_of, widths_of
from mcti_jax.saving import read_run_tokens
from mcti_jax.starts import nouns


def measure_tokens(config: ConfigDict, workdir: AnyPath, data: str | None, name: str) -> Evaluation:
    """Measure the tokens in a run's folder on test photos.

    Which token belongs to which class stands in the token files (`class`, `class_index`), not in
    their names or order. No photo is encoded by Stable Diffusion.

    Args:
      config: The run's.
      workdir: The run's folder.
      data: Whose photos; None for the run's own.
      name: Of the row in the table.

    Raises:
      UserError: The tokens or the photos are not of these models and classes.
    """
    if data:
        config = changed(config, {"data": data, "add": ""})
    learned = read_run_tokens(workdir)
    check_values(config)
    material = gather(config)
    if data and not len(material.test):
        raise UserError(
            f"--data={data} has no test photos: put them into PATH/test/class/ beside "
            "PATH/train/class/."
        )
    sd = material.sd
    require_usable(learned, widths_of(sd), config.model)
    tokens = in_class_order(learned, material.classnames)
    require_vectors(tokens, config.vectors, f" in {workdir}")
    check_options(config, sd)
    return evaluate(config, material, {name: tokens}, nouns(config, readers_of(sd)))
