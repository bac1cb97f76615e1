"""Token files that are damaged, hostile, of another model or of another tool."""

import json
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save_file

from common.errors import UserError
from mcti_jax.export import export
from mcti_jax.formats import (
    LearnedToken,
    in_class_order,
    read_tokens,
    require_usable,
    token_words,
    typed_words,
    write_token,
)
from mcti_jax.formats.torch_archive import torch_archive
from tests.mcti.some_token import some_token


def ones(*shape, dtype=np.float32):
    return np.ones(shape, dtype)


def web_ui(vectors=None, **more):
    return torch_archive(
        {"string_to_param": {"*": ones(1, 8) if vectors is None else vectors}, **more}
    )


def safetensors(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(shape, dtype="F32", end=32, begin=0):
    return {"<a>": {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}}


FILES = {
    "rank 3": ("a.bin", torch_archive({"<a>": ones(1, 1, 8)})),
    "no vectors": ("a.bin", torch_archive({"<a>": ones(0, 8)})),
    "no width": ("a.bin", torch_archive({"<a>": ones(3, 0)})),
    "more vectors than a prompt has places": ("a.bin", torch_archive({"<a>": ones(77, 8)})),
    "wider than any text tower": ("a.bin", torch_archive({"<a>": ones(1, 2**15)})),
    "NaN": ("a.bin", torch_archive({"<a>": ones(1, 8) * np.nan})),
    "infinity": ("a.pt", web_ui(ones(1, 8) * np.inf)),
    "text for a tensor": ("a.bin", torch_archive({"<a>": "vectors"})),
    "a number for a tensor": ("a.bin", torch_archive({"<a>": 7})),
    "nothing for a tensor": ("a.bin", torch_archive({"<a>": None})),
    "a tensor alone": ("a.bin", torch_archive(ones(1, 8))),
    "text alone": ("a.bin", torch_archive("<a>")),
    "an empty dictionary": ("a.bin", torch_archive({})),
    "web UI without vectors": ("a.pt", torch_archive({"string_to_param": {}})),
    "web UI with two": ("a.pt", torch_archive({"string_to_param": {"*": ones(1, 8), "x": 1}})),
    "web UI with text": ("a.pt", torch_archive({"string_to_param": {"*": "x"}})),
    "web UI with a number": ("a.pt", torch_archive({"string_to_param": 3})),
    "half of Stable Diffusion XL's": ("a.bin", torch_archive({"clip_g": ones(1, 1280)})),
    "XL's, not as many": ("a.bin", torch_archive({"clip_l": ones(1, 768), "clip_g": ones(2, 9)})),
    "a layer": ("a.bin", torch_archive({"norm.weight": ones(8)})),
    "an empty file": ("a.safetensors", b""),
    "seven bytes": ("a.safetensors", b"1234567"),
    "a header longer than the file": ("a.safetensors", struct.pack("<Q", 2**60) + b"{}"),
    "a header that is a list": ("a.safetensors", safetensors(b"[]")),
    "a header that is not JSON": ("a.safetensors", safetensors(b"{")),
    "a negative shape": ("a.safetensors", safetensors(entry([-1, 8]), bytes(32))),
    "a shape beyond memory": ("a.safetensors", safetensors(entry([75, 2**40]), bytes(32))),
    "offsets the wrong way": ("a.safetensors", safetensors(entry([1, 8], begin=32, end=0), b"")),
    "an unknown precision": ("a.safetensors", safetensors(entry([1, 8], "F3"), bytes(32))),
    "whole numbers": ("a.safetensors", safetensors(entry([1, 8], "I32"), bytes(32))),
    "truth values": ("a.safetensors", safetensors(entry([1, 32], "BOOL"), bytes(32))),
    "a shape of text": ("a.safetensors", safetensors(entry(["1", 8]), bytes(32))),
    "an archive of nothing": ("a.pt", b"PK\x05\x06" + bytes(18)),
    "an archive cut short": ("a.pt", web_ui()[:200]),
    "not an archive": ("a.pt", b"\x80\x02}q\x00."),
    "another kind of file": ("a.gif", b"GIF89a"),
}


@pytest.mark.parametrize("case", FILES)
def test_files_that_hold_no_tokens(case, tmp_path):
    name, content = FILES[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=name.replace(".", r"\.")) as caught:
        read_tokens(tmp_path / name)
    assert len(str(caught.value)) < 600


class _Attack:
    def __reduce__(self):
        return os.system, ("touch harm",)


def _deep():
    return pickle.PROTO + b"\x02" + b"(" * 5000 + b"t" * 5000 + b"."


PICKLES = {
    "code": pickle.dumps({"<a>": _Attack()}),
    "a class": pickle.PROTO + b"\x02" + pickle.GLOBAL + b"builtins\neval\n.",
    "nested tuples": _deep(),
    "nothing at all": b"",
    "no end": pickle.PROTO + b"\x02" + pickle.EMPTY_DICT,
    "a memo that is not there": pickle.PROTO + b"\x02h\x05.",
    "an empty stack": pickle.PROTO + b"\x02R.",
}


@pytest.mark.parametrize("case", PICKLES)
def test_archives_that_attack(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("archive/data.pkl", PICKLES[case])
    with pytest.raises(UserError, match=r"a\.pt"):
        read_tokens(tmp_path / "a.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


@pytest.mark.parametrize("width", [127, 129, 768, 1024])
def test_vectors_of_another_model(width):
    with pytest.raises(UserError, match=rf"<dog2> are {width} wide.*128 was expected.*model=sd"):
        require_usable([some_token(width=width)], (128,), "sd")


def test_vectors_of_zeros():
    vectors = np.float32([[1, 0], [0, 0]])
    with pytest.raises(UserError, match="a vector of <a> is all zeros"):
        require_usable([LearnedToken("<a>", vectors)], (2,), "sd")


@pytest.mark.parametrize(
    ("first", "second"),
    [("<a>", "<a>"), ("<a>", "a"), ("<A>", "<a>"), ("<\uff21>", "<a>"), ("bad-hands", "Bad-Hands")],
)
def test_one_word_in_two_files(first, second, tmp_path):
    for number, word in enumerate((first, second)):
        (tmp_path / f"{number}.bin").write_bytes(torch_archive({word: ones(1, 8)}))
    with pytest.raises(UserError, match=r"0\.bin' and .*1\.bin' both claim the word"):
        read_tokens(tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "token", "words"),
    [
        ("bad-hands-5.pt", web_ui(name="bad-hands-5"), "bad-hands-5", {"bad-hands-5"}),
        ("bad-hands-5.pt", web_ui(), "<bad-hands-5>", {"<bad-hands-5>", "bad-hands-5"}),
        ("hands.pt", web_ui(name="emb-500"), "emb-500", {"emb-500", "hands"}),
        ("My Dog.pt", web_ui(name="x y"), "<x-y>", {"<x-y>", "x y", "My Dog"}),
        ("dog.pt", web_ui(name="<dog2>"), "<dog2>", {"<dog2>"}),
        ("dog.pt", web_ui(name=7), "<dog>", {"<dog>", "dog"}),
        ("a.bin", torch_archive({"<cat-toy>": ones(2, 8)}), "<cat-toy>", {"<cat-toy>"}),
        ("a.bin", torch_archive({"sks": ones(2, 8)}), "sks", {"sks"}),
        ("a.bin", torch_archive({"a b": ones(2, 8)}), "<a-b>", {"<a-b>"}),
        ("a.bin", torch_archive({"<a": ones(2, 8)}), "<a>", {"<a>"}),
        ("a.bin", torch_archive({"a\x1b[2J": ones(2, 8)}), "<a-2j>", {"<a-2j>"}),
        ("a.bin", torch_archive({"x" * 5000: ones(2, 8)}), f"<{'x' * 60}>", {f"<{'x' * 60}>"}),
        ("a.bin", torch_archive({"": ones(2, 8)}), "<class>", {"<class>"}),
    ],
)
def test_the_words_of_other_tools(file, content, token, words, tmp_path):
    (tmp_path / file).write_bytes(content)
    [found] = read_tokens(tmp_path)
    assert found.token == token
    assert set(typed_words([found])) == words


def test_kohyas_file_is_called_by_its_name(tmp_path):
    save_file({"emb_params": ones(2, 8)}, tmp_path / "EasyNegative.safetensors")
    [found] = read_tokens(tmp_path)
    assert set(typed_words([found])) == {"<easynegative>", "EasyNegative"}


def test_a_name_that_two_files_share_is_nobodys(tmp_path):
    for folder, name in (("1", "first"), ("2", "second")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "learned.pt").write_bytes(web_ui(name=name))
    assert set(typed_words(read_tokens(tmp_path))) == {"first", "second"}


def test_numbers_beyond_float32_are_infinite(tmp_path):
    save_file({"<a>": np.full((1, 8), 1e300)}, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match="holds NaN or infinity for '<a>'"):
        read_tokens(tmp_path)


@pytest.mark.parametrize("name", ["fifo.pt", "folder.pt", "link.pt"])
def test_what_is_not_a_file_is_not_read(name, tmp_path):
    path = tmp_path / name
    {"fifo.pt": os.mkfifo, "folder.pt": os.mkdir, "link.pt": lambda x: x.symlink_to("gone")}[name](
        path
    )
    with pytest.raises(UserError, match="learned tokens"):
        read_tokens(tmp_path)
    with pytest.raises(UserError, match="learned tokens"):
        read_tokens(path)


@pytest.mark.parametrize("word", ["<a", "a>", "<a><b>", "a\x00b", "a\u202eb", "<>", "a\ud800"])
def test_words_that_cannot_be_typed(word):
    with pytest.raises(UserError, match=r"cannot be typed|one word"):
        LearnedToken(word, ones(1, 8))


@pytest.mark.parametrize(
    "name",
    ["𐍈" * 60, "𐍈" * 300, "犬" * 90, "é" * 400, "a" * 5000, "con", "..", "a/../b", "\ud800x"],
)
def test_every_name_makes_a_file(name, tmp_path):
    [word] = token_words([name])
    path = write_token(tmp_path, LearnedToken(word, ones(1, 8)), "diffusers")
    assert path.parent == tmp_path and len(path.name.encode()) < 220
    assert read_tokens(tmp_path)[0].token == word


def test_tokens_of_two_runs():
    facts = {"class": "a", "class_index": "0"}
    tokens = [LearnedToken("<a>", ones(1, 8), facts), LearnedToken("<b>", ones(2, 8), facts)]
    with pytest.raises(UserError, match="not of one run: <b> has 2 vectors 8 wide"):
        in_class_order(tokens, ("a", "b"))


@pytest.mark.parametrize("index", ["9" * 5000, "1e3", "-", "", "0x1", "\u0661"])
def test_odd_numbers_of_classes(index):
    token = LearnedToken("<a>", ones(1, 8), {"class": "b", "class_index": index})
    with pytest.raises(UserError, match=r"does not say which class|has not learned 'a'"):
        in_class_order([token], ("a",))


@pytest.fixture
def workdir(tmp_path):
    write_token(tmp_path / "run" / "tokens", LearnedToken("<dog>", ones(1, 8)), "diffusers")
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("prefix", "stem"),
    [("my-", "my-dog"), ("My ", "my-dog"), ("sks", "sksdog"), ("é_", "é-dog"), ("../", "dog")],
)
def test_a_prefix_keeps_words_from_common_ones(prefix, stem, workdir, tmp_path):
    if stem == "dog":
        with pytest.raises(UserError, match="make no word"):
            export(workdir, "a1111", tmp_path / "out", prefix)
        return
    [(path, usage)] = export(workdir, "a1111", tmp_path / "out", prefix).items()
    assert path.name == f"{stem}.pt"
    assert usage.startswith(f"{stem} in a web UI")
    assert read_tokens(path)[0].token == f"<{stem}>"


@pytest.mark.parametrize("prefix", ["-", "  ", "<>", "x" * 70])
def test_prefixes_that_make_no_word(prefix, workdir, tmp_path):
    with pytest.raises(UserError, match=r"--prefix=.* make no word for a file"):
        export(workdir, "kohya", tmp_path / "out", prefix)
    assert not (tmp_path / "out").exists()


def test_a_finished_run_has_to_be_told_where(workdir):
    with pytest.raises(UserError, match="missing --out"):
        export(workdir, "diffusers", None)


def test_tokens_that_do_not_fit_the_runs_model(workdir, tmp_path):
    (workdir / "config.json").write_text(
        json.dumps({"data": "x", "model": "pocket", "seed": 0, "method": "mcti_jax.method:MCTI"})
    )
    with pytest.raises(UserError, match=r"<dog> are 8 wide.*128 was expected.*model=pocket"):
        export(workdir, "a1111", tmp_path / "out")
