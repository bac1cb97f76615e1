"""Cached arrays and npz files: damaged anywhere, poisoned, packed as bombs, or not ours."""

import io
import logging
import os
import zipfile

import numpy as np
import pytest

from common.data.cache import ExpectedArrays, cached, find
from common.data.passes import cached_pass
from common.errors import UserError
from common.weights import npz
from common.weights.npz import read_npz

KEY = {"what": "features", "weights": "0123"}
EXPECTED = ExpectedArrays(frozenset({"x"}), 3, {"x": (2,)})
RIGHT = {"x": np.arange(6, dtype=np.float32).reshape(3, 2)}


def entry(folder):
    """A sound entry's file."""
    cached(folder, KEY, lambda: RIGHT, EXPECTED)
    return next(folder.iterdir())


def again(folder):
    return cached(folder, KEY, lambda: RIGHT, EXPECTED)


def archive(members, method=zipfile.ZIP_STORED):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return content.getvalue()


def npy(array):
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def header(text, body=b""):
    """An array whose header says what `text` says."""
    line = text.encode().ljust(501) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(line).to_bytes(2, "little") + line + body


def shaped(shape, dtype="<f4", body=b"\0" * 24):
    return header(f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}", body)


@pytest.mark.parametrize("mask", [0x01, 0xFF])
def test_a_flipped_byte_anywhere_is_noticed_or_harmless(tmp_path, mask):
    file = entry(tmp_path)
    sound = file.read_bytes()
    noticed = 0
    for place in range(mask % 3, len(sound), 2):
        flipped = bytes([sound[place] ^ mask])
        file.write_bytes(sound[:place] + flipped + sound[place + 1 :])
        if (found := find(tmp_path, KEY, EXPECTED)) is None:
            noticed += 1
        else:
            np.testing.assert_array_equal(found["x"], RIGHT["x"])
    assert noticed > len(sound) / 4
    file.write_bytes(flipped * 100)
    np.testing.assert_array_equal(again(tmp_path)["x"], RIGHT["x"])


def test_a_file_cut_anywhere_is_computed_anew(tmp_path):
    file = entry(tmp_path)
    sound = file.read_bytes()
    for length in range(0, len(sound), 7):
        file.write_bytes(sound[:length])
        assert find(tmp_path, KEY, EXPECTED) is None
    np.testing.assert_array_equal(again(tmp_path)["x"], RIGHT["x"])


STRANGE = {
    "nothing": b"",
    "a picture": b"\x89PNG\r\n\x1a\n",
    "a pointer of Git-LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
    "one array without an archive": npy(RIGHT["x"]),
    "a zip of something else": archive({"hello.txt": b"hello"}),
    "an empty zip": archive({}),
    "Python objects": archive({"x.npy": npy(np.array([None, "a"], object))}),
    "objects said as numbers": archive({"x.npy": shaped("(3, 2)", "|O")}),
    "a pickle as an array": archive({"x.npy": b"cos\nsystem\n(S'true'\ntR."}),
    "more than the member holds": archive({"x.npy": shaped("(1000000000, 1000000000)")}),
    "less than the member holds": archive({"x.npy": shaped("(1, 2)")}),
    "a negative axis": archive({"x.npy": shaped("(-1, 2)")}),
    "an axis beyond 64 bits": archive({"x.npy": shaped("(99999999999999999999, 0)", body=b"")}),
    "a hundred axes": archive({"x.npy": shaped("(" + "1," * 100 + ")", body=b"\0" * 4)}),
    "axes that are not numbers": archive({"x.npy": shaped("('a', 2)")}),
    "a type that is none": archive({"x.npy": shaped("(3, 2)", "<q9")}),
    "a header that is code": archive({"x.npy": header("__import__('os').system('true')")}),
    "a header nested deeply": archive({"x.npy": header("(" * 110)}),
    "a header cut short": archive({"x.npy": b"\x93NUMPY\x01\x00\xff\xff{"}),
    "a header of megabytes": archive(
        {"x.npy": b"\x93NUMPY\x02\x00" + (2**22).to_bytes(4, "little") + b" " * 2**22}
    ),
    "a format of the future": archive({"x.npy": b"\x93NUMPY\x09\x00" + bytes(64)}),
    "packed by bzip2": archive({"x.npy": npy(RIGHT["x"])}, zipfile.ZIP_BZIP2),
    "packed by LZMA": archive({"x.npy": npy(RIGHT["x"])}, zipfile.ZIP_LZMA),
}


@pytest.mark.parametrize("content", STRANGE.values(), ids=STRANGE)
def test_what_is_not_an_entry_is_computed_anew(tmp_path, caplog, content):
    file = entry(tmp_path)
    file.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(again(tmp_path)["x"], RIGHT["x"])
    assert "is damaged" in caplog.text
    file.write_bytes(content)
    if content != STRANGE["an empty zip"]:
        with pytest.raises(ValueError, match=r".") as caught:
            read_npz(file)
        assert len(str(caught.value)) < 500


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "SMALL", 2**16)
    zeros = npy(np.zeros(2**20, np.float32))
    (tmp_path / "x.npz").write_bytes(archive({"x.npy": zeros}, zipfile.ZIP_DEFLATED))
    with pytest.raises(ValueError, match="unpacks to far more than its own size"):
        read_npz(tmp_path / "x.npz")
    np.savez_compressed(tmp_path / "y.npz", x=np.arange(100))
    np.testing.assert_array_equal(read_npz(tmp_path / "y.npz")["x"], np.arange(100))


def test_a_name_twice(tmp_path):
    with pytest.warns(UserWarning), zipfile.ZipFile(tmp_path / "x.npz", "w") as file:
        for value in (1, 2):
            file.writestr("x.npy", npy(np.array(value)))
    with pytest.raises(ValueError, match="holds one name twice"):
        read_npz(tmp_path / "x.npz")


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to itself"])
def test_what_is_not_a_file(tmp_path, kind):
    file = entry(tmp_path)
    file.unlink()
    {"folder": os.mkdir, "pipe": os.mkfifo, "link to itself": lambda x: x.symlink_to(x)}[kind](file)
    with pytest.raises(ValueError, match=r"not a file|cannot be read|[Ss]ymbolic"):
        read_npz(file)
    if kind == "folder":
        with pytest.raises(UserError, match="cannot be written"):
            again(tmp_path)
    else:
        np.testing.assert_array_equal(again(tmp_path)["x"], RIGHT["x"])


POISON = {
    "NaN": {"x": np.full((3, 2), np.nan, np.float32)},
    "infinity": {"x": np.array([[0, 0], [0, np.inf], [0, 0]], np.float16)},
    "a row too few": {"x": np.zeros((2, 2), np.float32)},
    "another width": {"x": np.zeros((3, 4), np.float32)},
    "another rank": {"x": np.zeros((3, 2, 1), np.float32)},
    "one number": {"x": np.float32(0)},
    "text": {"x": np.full((3, 2), "a")},
    "complex numbers": {"x": np.zeros((3, 2), np.complex64)},
    "another name": {"y": np.zeros((3, 2), np.float32)},
    "a name more": RIGHT | {"y": np.zeros((3, 2), np.float32)},
    "nothing": {},
}


@pytest.mark.parametrize("arrays", POISON.values(), ids=POISON)
def test_a_foreign_entry_that_does_not_fit_is_computed_anew(tmp_path, arrays):
    file = entry(tmp_path)
    with np.load(file) as archive:
        key = archive["__key__"]
    np.savez(file, **arrays, __key__=key)
    np.testing.assert_array_equal(again(tmp_path)["x"], RIGHT["x"])
    assert find(tmp_path, KEY, EXPECTED) is not None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_computed_as_nan_is_not_kept(tmp_path, value):
    with pytest.raises(UserError, match=r"features\) holds NaN or infinite numbers in 'x'"):
        cached(tmp_path, KEY, lambda: {"x": np.full((3, 2), value)})
    assert not list(tmp_path.iterdir())


def test_a_pass_reads_only_what_fits_its_examples(tmp_path):
    def run(shapes):
        return cached_pass(
            lambda params, batch: {"x": batch * params},
            np.float32(2),
            lambda row: np.full(3, row, np.float32),
            5,
            names=("x",),
            shapes=shapes,
            batch_size=2,
            part=4,
            directory=tmp_path,
            key=lambda rows: {"rows": str(rows)},
            title="Encoding",
            unit="rows",
        )["x"]

    right = run({"x": (3,)})
    for file in tmp_path.iterdir():
        with np.load(file) as archive:
            key, x = archive["__key__"], archive["x"]
        np.savez(file, x=np.zeros((len(x), 7), np.float32), __key__=key)
    np.testing.assert_array_equal(run({"x": (3,)}), right)
