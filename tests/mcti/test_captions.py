"""Captions beside photos as prompts."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from common.clip import load_clip
from common.data import ImageSplit, open_dataset
from common.errors import UserError
from mcti_jax.captions import captions_beside, prompts_of_photos
from mcti_jax.layout import class_latents, prepare
from mcti_jax.material import gather
from mcti_jax.method import MCTI
from mcti_jax.photos import captions_of
from mcti_jax.prompts import Prompts
from tests.mcti.problem import learning, problem
from tests.mcti.tiny import NumberTokenizer, settings

TEMPLATE = "a photo of a {}"


def test_a_caption_follows_the_template_or_is_the_prompt():
    captions = ("on a table,\n by night", "", "my {} in the sun", "  ")
    prompts = prompts_of_photos(captions, "abcd", TEMPLATE)
    assert prompts == (f"{TEMPLATE}, on a table, by night", TEMPLATE, "my {} in the sun", TEMPLATE)
    with pytest.raises(UserError, match=r"caption of b has 2 \{\}: keep one"):
        prompts_of_photos(("", "{} and {}"), "ab", TEMPLATE)


def test_a_caption_names_no_learned_word():
    captions, words = (">_< and <fox>", "a photo of <My_Mug> and {}"), ("<my-mug>", "<mug>")
    with pytest.raises(UserError, match=r"caption of b names <My_Mug>, but .* at \{\} alone"):
        prompts_of_photos(captions, "ab", TEMPLATE, words)
    assert prompts_of_photos(captions, "ab", TEMPLATE, ("<cup>",))[1] == captions[1]


def test_captions_lie_beside_photos(tmp_path):
    for name in ("cat/1.jpg", "cat/2.png", "dog/1.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    (tmp_path / "cat/2.txt").write_text("a {} on a chair\n", encoding="utf-8")
    (tmp_path / "dog/1.txt").write_text("im Schnee", encoding="utf-8")
    train = open_dataset(f"folder:{tmp_path}", holdout=0).train
    assert captions_beside(train) == ("", "a {} on a chair\n", "im Schnee")
    config = settings(captions=True)
    expected = (TEMPLATE, "a {} on a chair", f"{TEMPLATE}, im Schnee")
    assert captions_of(config, train) == expected
    assert captions_of(settings(), train) == ()
    (tmp_path / "cat/2.txt").write_text("a <cat>", encoding="utf-8")
    with pytest.raises(UserError, match=r"caption of cat/2\.png names <cat>"):
        captions_of(config, train, ("cat", "dog"))
    (tmp_path / "cat/2.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"2\.txt"):
        captions_beside(train)


def test_no_caption_at_all():
    black = Image.new("RGB", (8, 8))
    split = ImageSplit.from_arrays([black], [0], 1)
    with pytest.raises(UserError, match="captions=true finds no caption"):
        captions_of(settings(captions=True), split)


JOINT_ALONE = {"alpha": 0.0, "classification": "joint"}


@pytest.mark.parametrize("changes", [JOINT_ALONE, JOINT_ALONE | {"classification": "auto"}])
def test_captions_are_refused_where_nothing_reads_them(changes):
    with pytest.raises(UserError, match=r"captions=True changes nothing with alpha=0\.0 and class"):
        MCTI(captions=True, **changes)


@pytest.mark.parametrize("changes", [{}, JOINT_ALONE | {"classification": "both"}])
def test_captions_are_taken_where_a_term_reads_them(changes):
    assert MCTI(captions=True, **changes).config.captions


def test_captions_that_are_read_are_not_passed_over(tmp_path):
    for name in ("cat/1.jpg", "dog/1.jpg"):
        (tmp_path / name).parent.mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / name)
        (tmp_path / name).with_suffix(".txt").write_text("in the snow")
    (tmp_path / "cat/notes.txt").write_text("to be sorted")
    fields = {"data": f"folder:{tmp_path}", "holdout": 0, "alpha": 0.0, "cache": f"{tmp_path}/c"}
    fields |= {"generate": {"per_class": 0}, "classification": "both"}
    notes = "1 .txt file (not a photo's suffix), e.g. cat/notes.txt"
    assert gather(settings(captions=True, **fields)).passed_over == notes
    assert "2 captions" in gather(settings(**fields)).passed_over


def test_only_training_asks_for_captions(tmp_path):
    """Tokens that were learned with captions are measured on photos that have none."""
    changes = {"captions": True, "alpha": 0.0, "generate": {"per_class": 0}}
    assert gather(settings(cache=str(tmp_path), **changes)).classnames


def test_a_long_caption_is_cut_behind_the_token():
    tokenizer = load_clip("pocket").tokenizer
    long = "red {} " + "star " * 100
    prompts = Prompts.from_templates(tokenizer, [long, "red {}"], 2, truncate=True)
    assert prompts.ids.shape == (2, tokenizer.length)
    assert prompts.end.tolist() == [tokenizer.length - 1, 4] and prompts.slot.tolist() == [2, 2]
    assert all(row[end] == tokenizer.eos for row, end in zip(prompts.ids, prompts.end, strict=True))
    with pytest.raises(UserError, match="shorten it"):
        Prompts.from_templates(tokenizer, [long], 2)


@pytest.mark.usefixtures("quick_compiler")
def test_a_photo_is_learned_under_its_own_prompt():
    """Photos of one prompt give the gradient of that prompt, whatever the others say."""
    whole = problem(classification="paper", alpha=0.0, samples=2)
    labels = whole.photos.labels
    table = whole.frozen["params"]["text"]["token_embedding"]

    def under(*texts):
        prompts = Prompts.from_templates(NumberTokenizer(), texts, 1)
        rows = class_latents(
            whole.layout, whole.photos.mean, whole.photos.logvar, labels, captioned=True
        )
        changes = {"prompts": (prepare(table, prompts, "placeholder"),), "rows": rows}
        return replace(whole, frozen=whole.frozen | changes).differentiate().gradient[0]

    texts = [f"{10 + label} {{}} 4" for label in labels]  # One for the photos of each class.
    mixed = under(*texts)
    for label in range(3):
        alone = under(*[texts[list(labels).index(label)]] * len(labels))
        assert np.abs(mixed[label] - alone[label]).max() < 1e-5 * np.abs(alone).max()
        assert np.abs(mixed[label] - alone[label - 1]).max() > 1e-3 * np.abs(alone).max()
    assert learning(whole, (0,)).frozen["rows"].prompt is None
