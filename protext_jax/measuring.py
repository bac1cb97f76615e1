"""What the saved prompts of a run come to, on its own test sets or on any other data."""

from ml_collections import ConfigDict

from common.clip import load_clip
from common.paths import AnyPath
from common.progress import say
from common.protocols.models import cache_of
from common.training import Evaluation
from common.training.unfinished import say_changed_data
from protext_jax.baseline_texts import read_material
from protext_jax.baselines import check_cupl
from protext_jax.classnames import remark
from protext_jax.evaluation import baseline_scores, measure
from protext_jax.files import read_learned
from protext_jax.inputs import EvaluationInputs
from protext_jax.plan import data_fingerprint
from protext_jax.signals import encode_sentences
from protext_jax.testsets import make_test_sets, own_set
from protext_jax.training_texts import gather_texts


def measure_prompts(
    config: ConfigDict, workdir: AnyPath, data: str | None, number: int | None
) -> Evaluation:
    """Measure the prompts in a run's folder.

    Args:
      config: The run's.
      workdir: The run's folder.
      data: A data set, whatever its classes; None for the run's own test sets.
      number: Of a sweep which run; None for the one that is its result.

    Raises:
      UserError: The prompts are not of this model, or there is no such data set or run.
    """
    learned = read_learned(config, workdir, number)
    clip = load_clip(config.model, config.dtype, image_size=config.image_size)
    learned.require_model(clip)
    texts = gather_texts(config, clip.tokenizer)
    if not data:
        say_changed_data(workdir, lambda: {"data": data_fingerprint(config, texts)})
    sets = own_set(config, data) if data else make_test_sets(config, texts)
    specs = [data] if data else [config.data, *config.targets]
    sentences = encode_sentences(clip, texts, cache_of(config))
    material = read_material(config, texts.matched.sentences)
    remarks = [*check_cupl(config, sets, material), *filter(None, map(remark, specs))]
    for line in remarks:
        say(line)
    inputs = EvaluationInputs(config, clip, texts, sentences, sets, material)
    found = measure(inputs, learned)
    return Evaluation(
        found.metrics,
        baseline_scores(inputs, found.classifiers),
        details={"remarks": remarks},
        seed=int(learned.metadata["seed"]),
    )
