"""What the model card of published tokens says."""

from ml_collections import ConfigDict

from common.evaluation.tables import escaped, markdown_table
from common.paths import AnyPath
from common.text import counted
from common.training.types import Card
from mcti_jax.formats import file_stem
from mcti_jax.saving import TOKENS, read_run_classes

_DIFFUSERS = """In diffusers:

```python
from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("{model}")
for file in {files}:
    pipe.load_textual_inversion("{{repository}}", subfolder="{folder}", weight_name=file)
pipe("a photo of a {word}").images[0].save("picture.png")
```

"""
_DIFFUSERS_XL = """In diffusers:

```python
from diffusers import StableDiffusionXLPipeline
from huggingface_hub import hf_hub_download
from safetensors.torch import load_file

pipe = StableDiffusionXLPipeline.from_pretrained("{model}")
encoders = {{
    "clip_l": (pipe.text_encoder, pipe.tokenizer),
    "clip_g": (pipe.text_encoder_2, pipe.tokenizer_2),
}}
for word, file in {words}.items():
    vectors = load_file(hf_hub_download("{{repository}}", f"{folder}/{{file}}"))
    for key, (encoder, tokenizer) in encoders.items():
        pipe.load_textual_inversion(
            vectors[key], token=word, text_encoder=encoder, tokenizer=tokenizer
        )
pipe("a photo of a {word}").images[0].save("picture.png")
```

"""
_HERE = """With promptax, pictures and answers about photos:

```bash
python -m mcti_jax.generate --workdir=hf:{{repository}} --prompt="a photo of a {word}" --out=a.png
python -m mcti_jax.classify --workdir=hf:{{repository}} --images=PHOTOS --out=answers.csv
```

{table}"""


def describe_tokens(config: ConfigDict, workdir: AnyPath) -> Card:
    """Return the card of a run's tokens.

    Raises:
      UserError: There are no tokens.
    """
    tokens = read_run_classes(workdir)
    classnames = tuple(token.metadata["class"] for token in tokens)
    word = tokens[0].token
    rows = [[escaped(token.token), escaped(x)] for token, x in zip(tokens, classnames, strict=True)]
    here = _HERE.format(word=word, table=markdown_table(["word", "class"], rows))
    files = [f"{file_stem(token.token)}.safetensors" for token in tokens]
    published = "/" in config.model  # The pocket model is not on the hub.
    template = _DIFFUSERS if len(tokens[0].widths) == 1 else _DIFFUSERS_XL
    words = {token.token: file for token, file in zip(tokens, files, strict=True)}
    theirs = template.format(model=config.model, files=files, words=words, folder=TOKENS, word=word)
    shots = config.shots
    return Card(
        title=f"Textual inversion of {counted(len(tokens), 'class')}, learned together (MC-TI)",
        classnames=classnames,
        facts={
            "photos": f"{shots} of each class" if shots else "all of the training part",
            "begun from": config.start,
            "vectors of a word": str(config.vectors),
        },
        tags=("textual_inversion", "stable-diffusion", "text-to-image", "mc-ti"),
        library="diffusers" if published else "",
        usage=theirs + here if published else here,
    )
