"""Names of models as other libraries write them, files and paths that are not a model's folder."""

import numpy as np
import pytest

from common.clip import load_clip
from common.clip.known import describe_clip
from common.errors import UserError
from common.language.known import describe_lm
from common.weights.files import write_tensors
from common.weights.model_names import known_id
from common.weights.resolve import POCKET, local_directory, resolve

IDS = {
    "ViT-B/16": "openai/clip-vit-base-patch16",
    "ViT-B/32": "openai/clip-vit-base-patch32",
    "ViT-B-32": "openai/clip-vit-base-patch32",
    "vit-l/14": "openai/clip-vit-large-patch14",
    "ViT-L/14@336px": "openai/clip-vit-large-patch14-336",
    "ViT-L-14-336": "openai/clip-vit-large-patch14-336",
    "ViT-B-16-quickgelu": "openai/clip-vit-base-patch16",
    "ViT-B-32/openai": "openai/clip-vit-base-patch32",
    "ViT-B-32-quickgelu:openai": "openai/clip-vit-base-patch32",
    "RN50": "timm/resnet50_clip.openai",
    "RN50x16": "timm/resnet50x16_clip.openai",
    "ViT-B-16-SigLIP": "google/siglip-base-patch16-224",
    "ViT-L-16-SigLIP-384": "google/siglip-large-patch16-384",
    "ViT-SO400M-14-SigLIP2-378": "google/siglip2-so400m-patch14-384",
    "ViT-gopt-16-SigLIP2-256": "google/siglip2-giant-opt-patch16-256",
    "hf-hub:laion/CLIP-ViT-H-14-laion2B-s32B-b79K": "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
    "ViT-B-32:laion2b_s34b_b79k": "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
    "ViT-bigG-14": "laion/CLIP-ViT-bigG-14-laion2B-39B-b160k",
    "ViT-g-14": "laion/CLIP-ViT-g-14-laion2B-s34B-b88K",
    "ViT-H-14-378-quickgelu": "apple/DFN5B-CLIP-ViT-H-14-378",
    "ViT-L-14-CLIPA": "UCSC-VLAA/ViT-L-14-CLIPA-datacomp1B",
    "ViT-H-14-CLIPA-336/datacomp1b": "UCSC-VLAA/ViT-H-14-CLIPA-336-datacomp1B",
    "ViT-H-14/laion2b_s32b_b79k": "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
    "laion/CLIP-ViT-H-14-laion2B-s32B-b79K:main": "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
    "https://huggingface.co/openai/clip-vit-base-patch16": "openai/clip-vit-base-patch16",
    "https://huggingface.co/openai/clip-vit-base-patch16/tree/main": "openai/clip-vit-base-patch16",
    " openai/clip-vit-base-patch16 ": "openai/clip-vit-base-patch16",
    "sd15": "stable-diffusion-v1-5/stable-diffusion-v1-5",
}


@pytest.mark.parametrize(("name", "model"), IDS.items(), ids=IDS)
def test_names_of_other_libraries_are_answered_with_the_id(name, model):
    with pytest.raises(UserError, match=f"not a model's id here: write '{model}'"):
        resolve(name, [])


@pytest.mark.parametrize(
    "name", ["openai/clip-vit-base-patch16", "timm/resnet50x16_clip.openai", "gpt2", "a/b/c", ""]
)
def test_what_is_an_id_or_none_is_left_alone(name):
    assert known_id(name) is None


NOWHERE = {
    "5,000 letters": "x" * 5000,
    "5,000 letters below a folder": "runs/" + "x" * 5000,
    "nobody's home": "~nobody-at-all/clip",
    "NUL": "clip\0",
    "NUL in a home": "~no\0body/clip",
    "half of a letter": "clip\ud800/x",
    "control characters": "a\x1b[31m/b\x07",
    "a direction turned": "a\u202e/b",
    "empty": "",
    "spaces": "a b/c d",
    "a bucket": "gs://bucket/model",
    "above": "../nowhere",
    "a URL of elsewhere": "ftp://example.org/model",
}


@pytest.mark.parametrize("name", NOWHERE.values(), ids=NOWHERE)
@pytest.mark.parametrize("read", [lambda name: resolve(name, []), describe_clip, describe_lm])
def test_what_no_model_can_be_called_is_one_sentence(name, read):
    with pytest.raises(UserError) as caught:
        read(name)
    text = str(caught.value)
    assert len(text) < 600
    assert all(letter.isprintable() for letter in text)


def test_links_in_a_circle(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(UserError, match="no model directory"):
        resolve(str(tmp_path / "a"), [])
    assert local_directory(str(tmp_path / "a")) is None and local_directory("pocket") == POCKET


FILES = {
    "a Stable Diffusion in one file": (
        "sd.safetensors",
        "model.diffusion_model.input_blocks.0.0.weight",
        "a whole Stable Diffusion in one file.*from_single_file",
    ),
    "a LoRA": ("x.safetensors", "lora_unet_down.alpha", "a LoRA.*merge it into its base model"),
    "a learned token": ("x.safetensors", "emb_params", "a learned token"),
    "CLIP's weights": ("model.safetensors", "text_model.final_layer_norm.bias", "weights alone"),
    "a checkpoint of PyTorch": ("x.ckpt", None, "weights alone.*give the folder that holds it"),
    "OpenAI's own file": ("ViT-B-16.pt", None, "weights alone"),
    "a configuration": ("config.json", None, "is a file, not a model's folder"),
}


@pytest.mark.parametrize(("name", "key", "sentence"), FILES.values(), ids=FILES)
def test_a_single_file_is_told_what_it_is(tmp_path, name, key, sentence):
    file = tmp_path / name
    if key:
        write_tensors(file, {key: np.zeros(2, np.float32)}, {})
    else:
        file.write_bytes(b"{}")
    with pytest.raises(UserError, match=sentence):
        load_clip(str(file))


@pytest.mark.parametrize("name", ["x.safetensors", "x.ckpt", "x.json"])
def test_a_pointer_is_told_as_such(tmp_path, name):
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9")
    with pytest.raises(UserError, match="is a Git-LFS pointer"):
        resolve(str(tmp_path / name), [])


def test_a_damaged_file_given_as_a_model(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(UserError, match="is damaged or not a safetensors file"):
        resolve(str(tmp_path / "x.safetensors"), [])
