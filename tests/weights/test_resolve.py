"""From model names to directories, with a hub made of folders."""

import shutil
from fnmatch import fnmatch

import huggingface_hub
import pytest

from common.errors import UserError
from common.weights.resolve import POCKET, resolve


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A folder in the role of one hub repository, and a list of what was fetched from it."""
    remote, cache = tmp_path / "remote", tmp_path / "cache"
    for folder in (remote, cache):
        folder.mkdir()
    fetched = []

    def snapshot_download(repo, allow_patterns):
        assert repo == "owner/name"
        for path in remote.rglob("*"):
            name = str(path.relative_to(remote))
            if any(fnmatch(name, pattern) for pattern in allow_patterns):
                fetched.append(name)
                (cache / name).parent.mkdir(exist_ok=True)
                shutil.copy(path, cache / name)
        return str(cache)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return remote, fetched


def fill(remote, *names):
    for name in names:
        (remote / name).parent.mkdir(exist_ok=True)
        (remote / name).write_text("")


def test_pocket_and_local_directories(tmp_path):
    assert resolve("pocket", ["config.json"]) == POCKET
    assert resolve("pocket:siglip", ["config.json"], ["model"]) == POCKET / "siglip"
    assert resolve(str(tmp_path), ["config.json"], ["model"]) == tmp_path


SHARDS = ("model.safetensors.index.json", "model-00001-of-00001.safetensors")
OTHERS = ("tf_model.h5", "model.fp16.safetensors", "flax_model.msgpack")


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        (("model.safetensors", "pytorch_model.bin"), {"model.safetensors"}),
        ((*SHARDS, "pytorch_model.bin"), set(SHARDS)),
        (("pytorch_model.bin",), {"pytorch_model.bin"}),
    ],
)
def test_only_what_is_needed_is_fetched(hub, present, expected):
    remote, fetched = hub
    fill(remote, "config.json", *present, *OTHERS)
    directory = resolve("owner/name", ["config.json", "vocab.json"], ["model"])
    assert set(fetched) == {"config.json", *expected}
    assert (directory / "config.json").exists()


def test_weights_in_folders(hub):
    remote, fetched = hub
    fill(remote, "unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.bin")
    resolve("owner/name", [], [f"{part}/diffusion_pytorch_model" for part in ("unet", "vae")])
    assert sorted(fetched) == [
        "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.bin",
    ]


def test_a_repository_without_weights(hub):
    fill(hub[0], "config.json")
    with pytest.raises(UserError, match=r"no weights model.*hf download owner/name"):
        resolve("owner/name", ["config.json"], ["model"])


def test_offline_says_what_to_download_and_where_to_put_it(monkeypatch):
    def snapshot_download(*_, **__):
        raise huggingface_hub.errors.LocalEntryNotFoundError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    with pytest.raises(UserError) as error:
        resolve("owner/name", ["config.json", "*.txt"], ["model"])
    sentence = str(error.value)
    command = "hf download owner/name --include 'config.json' '*.txt' 'model.safetensors'"
    assert command in sentence and "give its path instead of the id" in sentence


@pytest.mark.parametrize("source", ["nowhere", "/no/such/place", "./no/such", "../clip", "a/b/c"])
def test_no_directory_and_no_hub_id(source):
    with pytest.raises(UserError, match=f"no model directory '{source}'"):
        resolve(source, [])
