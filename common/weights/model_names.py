"""What people write for a model that is not a directory or an id: what it is, and what to give."""

import re
from collections.abc import Iterable
from pathlib import Path

from common.errors import UserError
from common.files import read_bytes
from common.text import shown
from common.weights.safetensors_file import read_safetensors

# The names of OpenAI's package and of open_clip, without signs and in lower case.
_OPENAI = {
    "rn50": "timm/resnet50_clip.openai",
    "rn101": "timm/resnet101_clip.openai",
    "rn50x4": "timm/resnet50x4_clip.openai",
    "rn50x16": "timm/resnet50x16_clip.openai",
    "rn50x64": "timm/resnet50x64_clip.openai",
    "vitb32": "openai/clip-vit-base-patch32",
    "vitb16": "openai/clip-vit-base-patch16",
    "vitl14": "openai/clip-vit-large-patch14",
    "vitl14336": "openai/clip-vit-large-patch14-336",
    "vitl14336px": "openai/clip-vit-large-patch14-336",
    "vith14": "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
    "vitg14": "laion/CLIP-ViT-g-14-laion2B-s34B-b88K",
    "vitbigg14": "laion/CLIP-ViT-bigG-14-laion2B-39B-b160k",
    "vith14378": "apple/DFN5B-CLIP-ViT-H-14-378",
    "sd14": "CompVis/stable-diffusion-v1-4",
    "sd15": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "stablediffusionv15": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "sd21": "stabilityai/stable-diffusion-2-1",
    "sdxl": "stabilityai/stable-diffusion-xl-base-1.0",
    "sdxlturbo": "stabilityai/sdxl-turbo",
}
# open_clip's tag of the weights that OpenAI published.
_TAG = re.compile(r"[:/,]openai$|-quickgelu$", re.IGNORECASE)
_SCHEME = re.compile(r"(?:hf-hub|hf|https?)[:/]+(?:(?:www\.)?(?:huggingface\.co|hf\.co)/)?(.*)")
_ID = re.compile(r"(\w[\w.-]*/[\w.-]+?)(?:/(?:tree|blob|resolve)/.*|[:@].*)?")
_SIGLIP = re.compile(r"ViT-(B|L|SO400M|gopt)-(\d+)-SigLIP(2?)(?:-(\d+))?", re.IGNORECASE)
_CLIPA = re.compile(r"(ViT-(?:L|H|bigG)-14-CLIPA(?:-336)?)(?:[:/, ]+datacomp1b)?", re.IGNORECASE)
_SIZES = {"b": "base", "l": "large", "so400m": "so400m", "gopt": "giant-opt"}
_LAION = re.compile(r"(ViT-\w+-\d+)[:/, ]+(laion2b)_(s\d+b)_(b\d+k)", re.IGNORECASE)

_WEIGHTS = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".gguf", ".h5", ".msgpack", ".onnx")
# Of keys in a file, the first that fits: what the file is, and what to do with it.
_KINDS = (
    (
        "lora",
        "a LoRA",
        "merge it into its base model with diffusers' `fuse_lora` and `save_pretrained`, and "
        "give the folder",
    ),
    (
        "model.diffusion_model.",
        "a whole Stable Diffusion in one file, as web UIs use it",
        "give it where a Stable Diffusion is wanted; diffusers reads it with "
        "`StableDiffusionPipeline.from_single_file`",
    ),
    ("emb_params", "a learned token", "give it where tokens are read"),
)
_SMALL = 1024
_FOLDER = "give the folder that holds it with its configuration and tokenizer"


def known_id(source: str) -> str | None:
    """Return the hub id for a name of another library, or for an id with something around it."""
    bare = source.strip().removesuffix(".git")
    bare = match[1] if (match := _SCHEME.fullmatch(bare)) else bare
    name = re.sub(r"[^a-z0-9]", "", _TAG.sub("", _TAG.sub("", bare)).lower())
    if name in _OPENAI:
        return _OPENAI[name]
    if tagged := _LAION.fullmatch(bare):
        model, *parts = tagged.groups()
        size = "-".join(re.sub(r"(?<=\d)[bk]", lambda unit: unit[0].upper(), x) for x in parts)
        return f"laion/CLIP-{model}-{size}"
    if named := _SIGLIP.fullmatch(bare):
        size, patch, version, side = named.groups()
        # Patches of 14 leave 6 of 384 pixels over.
        side = {None: "224", "378": "384"}.get(side, side)
        return f"google/siglip{version}-{_SIZES[size.lower()]}-patch{patch}-{side}"
    if named := _CLIPA.fullmatch(bare):
        return f"UCSC-VLAA/{named[1]}-datacomp1B"
    match = _ID.fullmatch(bare)
    return match[1] if match and match[1] != source else None


def refuse_file(file: Path) -> None:
    """Refuse a file where a model's directory is wanted.

    Raises:
      UserError: Always; it says what the file is and what to give.
    """
    if file.stat().st_size < _SMALL:
        read_bytes(file)  # It may be no more than a pointer.
    if file.suffix not in _WEIGHTS:
        raise UserError(f"{shown(file)} is a file, not a model's folder: {_FOLDER}.")
    keys = read_safetensors(file)[0] if file.suffix == ".safetensors" else {}
    what, remedy = _kind(keys)
    raise UserError(f"{shown(file)} is {what}, not a model's folder: {remedy}.")


def _kind(keys: Iterable[str]) -> tuple[str, str]:
    for part, what, remedy in _KINDS:
        if any(part in key for key in keys):
            return what, remedy
    return "the weights alone", _FOLDER
