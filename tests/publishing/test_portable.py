"""What is left of this machine's paths in a published text, and what is refused."""

import pytest

from common.errors import UserError
from common.publishing.portable import model_names, portable, require_portable


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("folder:/home/ann/photos", "folder:photos"),
        ("folder:../ann/photos/", "folder:photos"),
        ("folder:~/photos", "folder:photos"),
        ("folder:C:\\Users\\Ann\\photos", "folder:photos"),
        ("karpathy:/home/ann/a.json,/home/ann/pictures", "karpathy:a.json,pictures"),
        ("json:~ann/corpus.json", "json:corpus.json"),
        ("/home/ann/weights", "weights"),
        ("gs://ann/runs/a", "a"),
        ("folder:gs://ann/photos", "folder:photos"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("openai/clip-vit-base-patch16", "openai/clip-vit-base-patch16"),
        ("pocket:rare", "pocket:rare"),
        ("tfds:oxford_flowers102", "tfds:oxford_flowers102"),
        ("a photo of a {}.", "a photo of a {}."),
        ("and/or", "and/or"),
        ("", ""),
    ],
)
def test_of_a_path_the_last_name_is_kept(text, kept):
    assert portable(text, {}) == kept


def test_a_relative_path_is_one_where_it_leads_somewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ann" / "photos").mkdir(parents=True)
    assert portable({"data": ["folder:ann/photos", 3, None]}, {}) == {
        "data": ["folder:photos", 3, None]
    }


def test_a_model_of_this_machine_needs_its_name_on_the_hub(tmp_path):
    here = str(tmp_path)
    fields = {"model": here, "clip": "pocket", "lm.model": "openai-community/gpt2", "seed": 0}
    with pytest.raises(UserError, match=f"--model={here}=OWNER/NAME"):
        model_names(fields, {})
    names = model_names(fields, {here: "ann/model"})
    assert portable(fields, names) == {**fields, "model": "ann/model"}
    with pytest.raises(UserError, match="which others do not have"):
        model_names({"model": "/gone/weights"}, {})
    assert model_names({"clip": 1.0}, {}) == {}
    assert model_names({"model": "pocket", "clip": "pocket:siglip"}, {}) == {}


@pytest.mark.parametrize(
    "text",
    [
        "see /home/ann/photos/1.png",
        '"/work/x"',
        "(~/photos/1.png)",
        "C:\\Users",
        "\\\\server\\share",
        "file:///etc",
        "`/root/a`",
        "gs://ann",
    ],
)
def test_a_path_in_a_text_is_refused(text):
    with pytest.raises(UserError, match="card would tell a path of this machine"):
        require_portable(text, "card")


@pytest.mark.parametrize(
    "text", ["https://huggingface.co/a/b/c", "base/accuracy/x", "</s>", "3 / 4", "hf:a/b", "1/2/3"]
)
def test_what_only_looks_like_one_is_not(text):
    require_portable(text, "card")
