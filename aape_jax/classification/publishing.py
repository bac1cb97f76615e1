"""What the model card of a published head says, and the features of its classes."""

from ml_collections import ConfigDict

from aape_jax.classification.learned import class_features, learned_classnames
from aape_jax.classification.outline import count_examples
from common.clip.class_file import NAME, write_class_features
from common.data import Dataset, open_dataset
from common.errors import UserError
from common.paths import AnyPath
from common.progress import say
from common.protocols.models import clip_of
from common.training.types import Card

_OF_PHOTOS = """With promptax, for these classes and for any others:

```bash
python -m aape_jax.classify --workdir=hf:{repository} --images=PHOTOS --out=answers.csv
python -m aape_jax.classify --workdir=hf:{repository} --images=PHOTOS --classes=names.json
```

AAPE makes another classifier for every photo, from CLIP's features of the classes; those of
the learned ones are `class_embeddings` in `classes.safetensors`, where that is published.
"""

_OF_FEATURES = """With promptax, on features of images `x` and of any classes `w`, both from the
encoder whose features the run learned from:

```python
import aape_jax

run = aape_jax.load("hf:{repository}")
labels = aape_jax.predict(run.params, x, w, run.head)
```

AAPE makes another classifier for every image, from the features of the classes.
"""


def publish_classes(config: ConfigDict, out: AnyPath) -> Card:
    """Write CLIP's features of the learned classes, where the data still say them."""
    classnames, facts = (), {}
    try:
        dataset = open_dataset(config.data, holdout=config.holdout)
        kind = "photos" if isinstance(dataset, Dataset) else "rows of features"
        facts = {kind: str(count_examples(config, dataset))}
        classnames = learned_classnames(config, dataset.classnames)
        if not config.model:
            say("the run has model='': features of its classes are not published.")
        else:
            clip = clip_of(config)
            metadata = {"base_model": config.model, "fingerprint": clip.fingerprint}
            features = class_features(config, clip, classnames)
            write_class_features(out / NAME, features, classnames, metadata)
    except UserError as error:
        say(f"the classes are not published, classify will ask for --classes: {error}")
    return Card(
        title="A head for CLIP's image features (AAPE)",
        classnames=classnames,
        facts=facts,
        tags=("clip", "few-shot", "image-classification", "aape"),
        usage=_OF_PHOTOS if config.model else _OF_FEATURES,
    )
