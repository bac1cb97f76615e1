"""Tokenizer files that are damaged, hostile, of another kind, or of more words than the model."""

import json

import numpy as np
import pytest

from common.clip import Tokenizer, load_clip, save_clip
from common.clip.tokenizer_files import SPECIAL
from common.diffusion import load_stable_diffusion, save_stable_diffusion
from common.diffusion.record import digests_of_used
from common.diffusion.text_encoding import vocabulary_of
from common.errors import UserError
from common.language.checkpoint import load_lm, save_lm
from common.language.tokenizer import LMTokenizer
from common.weights.resolve import POCKET
from tests.language.tiny import GPT2, byte_tokenizer, random_lm

START, END = "<|startoftext|>", "<|endoftext|>"
LETTERS = "abcdefgot"
PIECES = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), "ca", "cat</w>", START, END]
VOCABULARY = {piece: number for number, piece in enumerate(PIECES)}
MERGES = ["c a", "ca t</w>"]
SIZE = len(PIECES)


def added(content, number, **flags):
    usual = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    return usual | {"id": number, "content": content} | flags


def whole(**changes):
    """The content of a `tokenizer.json`."""
    model = {"type": "BPE", "end_of_word_suffix": "</w>", "vocab": VOCABULARY, "merges": MERGES}
    special = [added(word, VOCABULARY[word], special=True) for word in (START, END)]
    return {"model": model, "added_tokens": special} | changes


def model(**changes):
    return whole(model=whole()["model"] | changes)


def write(folder, **files):
    """Files by their stems: text or bytes as they are, else as JSON."""
    for stem, content in files.items():
        path = folder / (f"{stem}.txt" if stem == "merges" else f"{stem}.json")
        if not isinstance(content, bytes | str):
            content = json.dumps(content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def pair(vocabulary=None, merges="#version: 0.2\nc a\nca t</w>\n", **others):
    return {"vocab": VOCABULARY if vocabulary is None else vocabulary, "merges": merges} | others


DAMAGED = {
    "half of a file": ({"tokenizer": json.dumps(whole())[:300]}, "cannot be read as JSON"),
    "no JSON": ({"tokenizer": b"\x80\x02}q\x00."}, "is not text in UTF-8"),
    "a list": ({"tokenizer": []}, "holds no JSON object"),
    "empty": ({"tokenizer": ""}, "cannot be read as JSON"),
    "nested without end": ({"tokenizer": "[" * 100_000}, "cannot be read as JSON"),
    "a Git-LFS pointer": (
        {"tokenizer": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"},
        "is a Git-LFS pointer",
    ),
    "no model": ({"tokenizer": {"added_tokens": []}}, r"lacks model, an object"),
    "a model that is text": ({"tokenizer": whole(model="BPE")}, r"model='BPE' .* not an object"),
    "no vocabulary": ({"tokenizer": model(vocab=None)}, r"lacks model\.vocab, an object"),
    "a vocabulary that is a list": ({"tokenizer": model(vocab=["a"])}, r"model\.vocab=\['a'\]"),
    "an empty vocabulary": (
        {"tokenizer": model(vocab={}, merges=[])},
        "the vocabulary in .* is empty",
    ),
    "a negative id": ({"tokenizer": model(vocab=VOCABULARY | {"a": -1})}, r"model\.vocab\.a=-1"),
    "half an id": ({"tokenizer": model(vocab=VOCABULARY | {"a": 0.5})}, r"model\.vocab\.a=0\.5"),
    "no id": ({"tokenizer": model(vocab=VOCABULARY | {"a": None})}, r"lacks model\.vocab\.a"),
    "an id that is true": ({"tokenizer": model(vocab=VOCABULARY | {"a": True})}, "a=True"),
    "an enormous id": ({"tokenizer": model(vocab=VOCABULARY | {"a": 2**40})}, "from 0 to 4194303"),
    "two words of one id": (
        {"tokenizer": model(vocab=VOCABULARY | {"a": 1})},
        "'a' and 'b' one id",
    ),
    "a word twice": ({"tokenizer": '{"model": {"vocab": {"a": 0, "a": 1}}}'}, "the key 'a' twice"),
    "merges that are text": ({"tokenizer": model(merges="c a")}, "are not a list"),
    "a merge of three": ({"tokenizer": model(merges=["c a t"])}, "merge 0 .* 'c a t'"),
    "a merge of one": ({"tokenizer": model(merges=[["c"]])}, "merge 0 "),
    "a merge of numbers": ({"tokenizer": model(merges=[[1, 2]])}, "merge 0 "),
    "a merge of no piece": ({"tokenizer": model(merges=["c a", "x y"])}, "merge 1 .*'x y'"),
    "a merge into no piece": ({"tokenizer": model(merges=["d o"])}, "make a third, but 'd o'"),
    "an added word without text": (
        {"tokenizer": whole(added_tokens=[{"id": 4}])},
        r"lacks added_tokens\[0\]\.content",
    ),
    "an added word without an id": (
        {"tokenizer": whole(added_tokens=[{"content": "<x>"}])},
        r"lacks added_tokens\[0\]\.id",
    ),
    "added words that are numbers": (
        {"tokenizer": whole(added_tokens=[1])},
        r"added_tokens\[0\]=1",
    ),
    "a flag that is text": (
        {"tokenizer": whole(added_tokens=[added("<x>", SIZE, lstrip="left")])},
        r"added_tokens\[0\]\.lstrip='left'",
    ),
    "an added word behind a gap": (
        {"tokenizer": whole(added_tokens=[added("<x>", SIZE + 7)])},
        f"'<x>' the id {SIZE + 7}, where {SIZE} follows",
    ),
    "two added words of one id": (
        {"tokenizer": whole(added_tokens=[added("<x>", SIZE), added("<y>", SIZE)])},
        "exclude each other",
    ),
    "another model": ({"tokenizer": model(type="WordPiece")}, r"model\.type='WordPiece'.*'BPE'"),
    "merges left out at random": ({"tokenizer": model(dropout=0.1)}, r"model\.dropout=0\.1"),
    "words that end otherwise": ({"tokenizer": model(end_of_word_suffix="")}, "end_of_word_suffix"),
    "pieces with a prefix": ({"tokenizer": model(continuing_subword_prefix="##")}, "prefix='##'"),
    "a vocabulary file of numbers": (pair([1, 2]), "holds no JSON object"),
    "half a pair in merges.txt": (pair(merges="c a\nca\n"), "merge 1 .* 'ca'"),
    "bytes in merges.txt": (pair(merges=b"\xff\xfe"), "is not text in UTF-8"),
    "added words in a list": (pair(added_tokens=["<x>"]), "holds no JSON object"),
    "an added word under text": (pair(added_tokens={"<x>": "last"}), "<x>='last'"),
    "a config that is a list": (pair(tokenizer_config=[1]), "holds no JSON object"),
    "a length of two": (pair(tokenizer_config={"model_max_length": 2}), "model_max_length=2"),
    "a negative length": (pair(tokenizer_config={"model_max_length": -1}), "model_max_length=-1"),
    "a length that is text": (pair(tokenizer_config={"model_max_length": "long"}), "='long'"),
    "an end token that is a number": (pair(tokenizer_config={"eos_token": 5}), "eos_token=5"),
    "an end token without text": (pair(tokenizer_config={"eos_token": {}}), "lacks eos_token.cont"),
    "a table of added words in a list": (
        pair(tokenizer_config={"added_tokens_decoder": []}),
        r"added_tokens_decoder=\[\]",
    ),
    "an added word under no number": (
        pair(tokenizer_config={"added_tokens_decoder": {"last": {"content": "<x>"}}}),
        r"added_tokens_decoder\.last in",
    ),
    "a number of 5,000 digits": (
        pair(tokenizer_config={"added_tokens_decoder": {"9" * 5000: {"content": "<x>"}}}),
        "is not a word's number",
    ),
    "another library's class": (
        pair(tokenizer_config={"tokenizer_class": "T5Tokenizer"}),
        "tokenizer_class='T5Tokenizer'",
    ),
    "special words that are split": (
        pair(tokenizer_config={"split_special_tokens": True}),
        "split_special_tokens=True",
    ),
    "special words in a list": (pair(special_tokens_map=[]), "holds no JSON object"),
}


@pytest.mark.parametrize(("files", "message"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_files_of_clip(tmp_path, files, message):
    write(tmp_path, **files)
    with pytest.raises(UserError, match=message) as error:
        Tokenizer.from_directory(tmp_path)
    assert len(str(error.value)) < 600 and "\n" not in str(error.value)


ACCEPTED = {
    "one file": {"tokenizer": whole()},
    "merges as pairs": {"tokenizer": model(merges=[["c", "a"], ["ca", "t</w>"]])},
    "no type, as in old files": {"tokenizer": model(type=None)},
    "no added words": {"tokenizer": whole(added_tokens=None)},
    "a byte order mark": {"tokenizer": "\ufeff" + json.dumps(whole())},
    "ids that are whole floats": {"tokenizer": model(vocab=VOCABULARY | {"a": 0.0})},
    "two files": pair(),
    "lines that end as on Windows": pair(merges="#version: 0.2\r\nc a\r\nca t</w>\r\n"),
    "an empty line": pair(merges="#version: 0.2\n\nc a\nca t</w>\n\n"),
    "no config at all": pair(tokenizer_config={}),
    "null for the usual": pair(tokenizer_config=dict.fromkeys((*SPECIAL, "model_max_length"))),
    "special words as objects": pair(
        tokenizer_config={"eos_token": {"__type": "AddedToken", "content": END, "lstrip": False}}
    ),
    "an unlimited length": pair(tokenizer_config={"model_max_length": 10**30}),
    "a length that is a whole float": pair(tokenizer_config={"model_max_length": 77.0}),
    "texts that are cut and filled up": {
        "tokenizer": whole(
            truncation={"direction": "Right", "max_length": 1, "strategy": "LongestFirst"},
            padding={"strategy": {"Fixed": 9}, "pad_id": 3, "pad_token": "d"},
        )
    },
    "a template for pairs of texts": {"tokenizer": whole(post_processor={"type": "Nonsense"})},
    "names of code": pair(
        tokenizer_config={"auto_map": {"AutoTokenizer": ["evil.py", None]}, "init_inputs": [1, 2]}
    ),
    "names of other files": pair(
        tokenizer_config={"vocab_file": "/etc/passwd", "fast_tokenizer_files": ["../x.json"]}
    ),
}


@pytest.mark.parametrize("files", ACCEPTED.values(), ids=ACCEPTED)
def test_what_is_plain_or_without_meaning_here(tmp_path, files):
    tokenizer = Tokenizer.from_directory(write(tmp_path, **files))
    numbers = [VOCABULARY[piece] for piece in ("cat</w>", "d", "o", "g</w>")]
    assert tokenizer.encode("Cat dog") == numbers
    assert (tokenizer.bos, tokenizer.eos, tokenizer.pad) == (SIZE - 2, SIZE - 1, SIZE - 1)
    assert (tokenizer.length, tokenizer.vocab_size) == (77, SIZE)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "merges.txt"])
def test_pipes_and_folders_are_not_waited_for(tmp_path, name):
    import os

    write(tmp_path, **pair(tokenizer_config={}))
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    try:
        Tokenizer.from_directory(tmp_path)
    except UserError as error:
        assert "holds no tokenizer" in str(error)


GROWN = {
    "in tokenizer.json": {
        "tokenizer": whole(added_tokens=[added("<my-dog>", SIZE), added("sks", SIZE + 1)])
    },
    "in added_tokens.json": pair(added_tokens={"sks": SIZE + 1, "<my-dog>": SIZE}),
    "in the config": pair(
        tokenizer_config={
            "added_tokens_decoder": {
                str(SIZE + 1): {"content": "sks"},
                str(SIZE): {"content": "<my-dog>", "normalized": True},
            }
        }
    ),
    "in two places": {
        "tokenizer": whole(added_tokens=[added("<my-dog>", SIZE), added("sks", SIZE + 1)]),
        "tokenizer_config": {"added_tokens_decoder": {str(SIZE): {"content": "<my-dog>"}}},
    },
}


@pytest.mark.parametrize("files", GROWN.values(), ids=GROWN)
def test_a_models_own_added_words(tmp_path, files):
    tokenizer = Tokenizer.from_directory(write(tmp_path, **files))
    assert tokenizer.vocab_size == SIZE + 2
    assert set(tokenizer.added_words) == {"<my-dog>", "sks"}
    (cat,) = tokenizer.encode("cat")
    assert tokenizer.encode("a cat <my-dog> sks") == [VOCABULARY["a</w>"], cat, SIZE, SIZE + 1]
    assert tokenizer.word(SIZE) == "<my-dog>"
    again = tmp_path / "again"
    tokenizer.save(again)
    assert Tokenizer.from_directory(again).encode("cat <my-dog>") == [cat, SIZE]


@pytest.mark.parametrize("normalized", [True, False])
@pytest.mark.parametrize("word", ["<My-Dog>", "SKS", "<caf\u00e9&amp;>", "<a.b*c>"])
def test_added_words_of_another_spelling_than_cleaned_texts(tmp_path, word, normalized):
    files = {"tokenizer": whole(added_tokens=[added(word, SIZE, normalized=normalized)])}
    tokenizer = Tokenizer.from_directory(write(tmp_path, **files))
    (cat,) = tokenizer.encode("Cat")
    assert tokenizer.encode(f"CAT {word} cat") == [cat, SIZE, cat]


def grow(folder, words):
    """Adds a word to the tokenizer in a folder and gives its id."""
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    number = max(content["model"]["vocab"].values()) + 1
    content["added_tokens"] += [added(word, number + n) for n, word in enumerate(words)]
    file.write_text(json.dumps(content))
    return number


@pytest.fixture
def diffusion(tmp_path):
    save_stable_diffusion(load_stable_diffusion("pocket"), tmp_path)
    return tmp_path


def test_diffusion_with_more_words_than_rows(diffusion):
    number = grow(diffusion / "tokenizer", ["<new>"])
    with pytest.raises(UserError, match=f"knows {number + 1} ids, the text tower only {number}"):
        load_stable_diffusion(str(diffusion))


def grow_both(folder, words):
    """Adds words to tokenizer and text tower, each with a row of its own number."""
    from common.files import read_json, write_json
    from common.weights.files import read_tensors, write_tensors

    number = grow(folder / "tokenizer", words)
    text = folder / "text_encoder"
    config = read_json(text / "config.json")
    write_json(text / "config.json", config | {"vocab_size": number + len(words)})
    tensors = dict(read_tensors(text))
    (key,) = (name for name in tensors if "token_embedding" in name)
    rows = np.arange(1, len(words) + 1)[:, None] * np.ones_like(tensors[key][:1])
    tensors[key] = np.concatenate([tensors[key], rows.astype(tensors[key].dtype)])
    write_tensors(text / "model.safetensors", tensors, {})
    return number


def test_diffusion_that_has_grown_both(diffusion):
    number = grow_both(diffusion, ["<new>"])
    model = load_stable_diffusion(str(diffusion))
    ids = model.tokenizer.encode("a photo of <new>")
    assert ids[-1] == number
    assert ids[:-1] == load_stable_diffusion("pocket").tokenizer.encode("a photo of")
    np.testing.assert_array_equal(model.params["text"]["token_embedding"][ids[-1]], 1)


def test_a_models_own_word_of_several_tokens(diffusion):
    """As diffusers' trainer saves a pipeline with a word of several vectors, and draws with it."""
    grow_both(diffusion, ["<new>", "<new>_1", "sks", "<new>_2"])
    model = load_stable_diffusion(str(diffusion))
    known = vocabulary_of(model, {})
    for prompt in ("a <new> fish", "a <new> <new>_1 <new>_2 fish"):
        np.testing.assert_array_equal(known.embedded(prompt)[2:5, 0], [1, 2, 4])
    np.testing.assert_array_equal(known.embedded("a sks, <new>_1")[[2, 4], 0], [3, 2])
    assert not digests_of_used(model, {}, ["a <new> fish"], weighted=True)
    learned = {"<New>": np.full((1, 128), 9, np.float32)}
    np.testing.assert_array_equal(vocabulary_of(model, learned).embedded("a <New>")[2], 9.0)


def test_clip_with_more_words_than_rows(tmp_path):
    save_clip(load_clip("pocket"), tmp_path)
    number = grow(tmp_path, ["<new>"])
    with pytest.raises(UserError, match=f"knows {number + 1} ids, the text tower only {number}"):
        load_clip(str(tmp_path))


def test_no_file_is_written_outside(tmp_path):
    """Names of chat templates are paths for some versions of transformers (CVE-2026-9856)."""
    source, out = tmp_path / "a/b/source", tmp_path / "a/b/out"
    save_clip(load_clip("pocket"), source)
    config = json.loads((source / "tokenizer_config.json").read_text())
    names = ("default", "../../evil", str(tmp_path / "absolute"), "../other")
    config |= {
        "chat_template": [{"name": name, "template": "{{ evil }}"} for name in names],
        "auto_map": {"AutoTokenizer": ["evil--code.Tokenizer", None]},
        "vocab_file": "../../evil.json",
        "name_or_path": "../../evil",
        "chat_templates": {"../../evil": "x"},
    }
    (source / "tokenizer_config.json").write_text(json.dumps(config))
    (source / "chat_template.jinja").write_text("{{ evil }}")
    (source / "additional_chat_templates").mkdir()
    (source / "additional_chat_templates/evil.jinja").write_text("{{ evil }}")
    before = set(tmp_path.rglob("*"))
    save_clip(load_clip(str(source)), out)
    written = set(tmp_path.rglob("*")) - before
    assert {path.name for path in written - {out}} == {
        *("config.json", "model.safetensors", "preprocessor_config.json"),
        *("tokenizer.json", "tokenizer_config.json"),
    }
    assert all(path.parent == out for path in written - {out})
    assert not any("evil" in path.read_text("utf-8", "replace") for path in out.glob("*.json"))


def test_links_are_not_written_through(tmp_path):
    victim, out = tmp_path / "victim", tmp_path / "out"
    victim.write_text("mine")
    out.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (out / name).symlink_to(victim)
    Tokenizer.from_directory(POCKET / "clip").save(out)
    assert victim.read_text() == "mine"
    assert Tokenizer.from_directory(out).encode("a dog")


LM_DAMAGED = {
    "half of a file": (lambda content: json.dumps(content)[:200], "cannot be read as JSON"),
    "a pattern that is matched for hours": (
        lambda content: (
            content
            | {
                "pre_tokenizer": {
                    "type": "Split",
                    "pattern": {"Regex": "(a+)+$"},
                    "behavior": "Removed",
                }
            }
        ),
        r"pre_tokenizer\.type='Split'",
    ),
    "a normaliser": (
        lambda content: content | {"normalizer": {"type": "Lowercase"}},
        "normalizer=",
    ),
    "a space in front": (
        lambda content: (
            content | {"pre_tokenizer": content["pre_tokenizer"] | {"add_prefix_space": True}}
        ),
        "add_prefix_space=True",
    ),
    "words that end otherwise": (
        lambda content: content | {"model": content["model"] | {"end_of_word_suffix": "</w>"}},
        "end_of_word_suffix='</w>'",
    ),
    "merges left out at random": (
        lambda content: content | {"model": content["model"] | {"dropout": 0.5}},
        r"dropout=0\.5",
    ),
    "an added word behind a gap": (
        lambda content: content | {"added_tokens": [added("<x>", 4000)]},
        "the id 4000, where 274 follows",
    ),
}


@pytest.fixture
def lm_folder(tmp_path):
    save_lm(random_lm(GPT2, byte_tokenizer()), tmp_path)
    return tmp_path


@pytest.mark.parametrize(("change", "message"), LM_DAMAGED.values(), ids=LM_DAMAGED)
def test_damaged_files_of_a_language_model(lm_folder, change, message):
    file = lm_folder / "tokenizer.json"
    write(lm_folder, tokenizer=change(json.loads(file.read_text())))
    with pytest.raises(UserError, match=message):
        load_lm(str(lm_folder))


def test_texts_of_a_language_model_are_neither_cut_nor_filled_up(lm_folder):
    file = lm_folder / "tokenizer.json"
    content = json.loads(file.read_text())
    before = LMTokenizer.from_directory(lm_folder).encode("two dogs and a cat")
    content["truncation"] = {"direction": "Right", "max_length": 1, "strategy": "LongestFirst"}
    content["padding"] = {"strategy": {"Fixed": 90}, "direction": "Right", "pad_id": 3}
    file.write_text(json.dumps(content))
    assert LMTokenizer.from_directory(lm_folder).encode("two dogs and a cat") == before


@pytest.mark.parametrize("rows", [275, 274])
def test_a_language_model_and_its_words(lm_folder, rows):
    tokenizer = LMTokenizer.from_directory(lm_folder)
    assert tokenizer.vocab_size == 274
    grow(lm_folder, ["<new>"])
    grown = LMTokenizer.from_directory(lm_folder)
    assert grown.encode("a<new>")[-1] == 274 and grown.vocab_size == 275
    if rows == 275:
        grown.require_rows(rows, lm_folder)
    else:
        with pytest.raises(UserError, match="knows 275 ids, the model only 274"):
            grown.require_rows(rows, lm_folder)


def test_a_language_model_with_more_words_than_rows(lm_folder):
    grow(lm_folder, [f"<new-{n}>" for n in range(27)])  # its table has 300 rows
    with pytest.raises(UserError, match="knows 301 ids, the model only 300"):
        load_lm(str(lm_folder))
