"""What the model card of published prompts says, and the classifier that goes with them."""

from ml_collections import ConfigDict

from common.clip.class_file import NAME, write_class_features
from common.errors import UserError
from common.paths import AnyPath
from common.progress import say
from common.training.types import Card
from protext_jax.trained import TrainedPrompts, load
from protext_jax.training_texts import gather_texts

_USAGE = """With promptax, for these classes and for any others:

```bash
python -m protext_jax.classify --workdir=hf:{repository} --images=PHOTOS --out=answers.csv
python -m protext_jax.classify --workdir=hf:{repository} --images=PHOTOS --classes=names.json
```
"""
_ANYWHERE = f"""
`{NAME}` holds `class_embeddings`, a feature of unit length for each class, and the names in its
metadata; in any pipeline of the same CLIP `image_features @ class_embeddings.T` is the classifier.
"""


def publish_prompts(config: ConfigDict, workdir: AnyPath, out: AnyPath) -> Card:
    """Write the features of the learned classes, where the data still say them; return the card.

    Raises:
      UserError: There are no prompts.
    """
    run = load(workdir)
    classnames, facts = (), {}
    try:
        texts = gather_texts(config, run.clip.tokenizer)
        classnames, facts = run.classnames, {"sentences": str(texts.pairs)}
    except UserError as error:
        say(f"the classes are not published, classify will ask for --classes: {error}")
    if classnames:
        _write_classes(run, out)
    return Card(
        title="Prompts for CLIP, learned from text alone (ProText)",
        classnames=classnames,
        facts={**facts, "photos": "none"},
        tags=("clip", "prompt-learning", "zero-shot-image-classification", "protext"),
        usage=_USAGE + (_ANYWHERE if classnames else ""),
    )


def _write_classes(run: TrainedPrompts, out: AnyPath) -> None:
    metadata = {**run.prompts.metadata, "template": run.template}
    write_class_features(out / NAME, run.class_features(), run.classnames, metadata)
