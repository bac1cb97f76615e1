"""PyTorch archives with more instructions, sizes, nesting or members than weights need."""

import io
import pickle
import struct
import time
import zipfile

import numpy as np
import pytest

from common.errors import UserError
from common.weights import pickles, torch_archive
from common.weights.files import read_tensors

BINARY = pickle.PROTO + b"\x02"


def text(value):
    encoded = value.encode()
    return pickle.BINUNICODE + struct.pack("<I", len(encoded)) + encoded


def number(value):
    encoded = value.to_bytes(9, "little", signed=True)
    return pickle.LONG1 + bytes([len(encoded)]) + encoded


def tuple_of(*parts):
    return pickle.MARK + b"".join(parts) + pickle.TUPLE


def named(module, name):
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()


def called(module, name, *arguments):
    return named(module, name) + tuple_of(*arguments) + pickle.REDUCE


def storage(kind="FloatStorage", key="0", count=6):
    pid = (text("storage"), named("torch", kind), text(key), text("cpu"), number(count))
    return tuple_of(*pid) + pickle.BINPERSID


def tensor(offset=0, size=(6,), stride=(1,), **kind):
    sizes = (tuple_of(*map(number, each)) for each in (size, stride))
    rest = pickle.NEWFALSE + pickle.EMPTY_DICT
    return called(
        "torch._utils", "_rebuild_tensor_v2", storage(**kind), number(offset), *sizes, rest
    )


def state(**entries):
    items = b"".join(text(name) + value for name, value in entries.items())
    return pickle.EMPTY_DICT + pickle.MARK + items + pickle.SETITEMS


def archive(program, method=zipfile.ZIP_STORED, **members):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as file:
        file.writestr("archive/data.pkl", BINARY + program + pickle.STOP)
        file.writestr("archive/data/0", np.arange(6, dtype="<f4").tobytes())
        for name, data in members.items():
            file.writestr(f"archive/{name}", data)
    return content.getvalue()


def read(tmp_path, content):
    file = tmp_path / "x.bin"
    file.write_bytes(content)
    return read_tensors(file)


def test_what_torch_writes_is_read(tmp_path):
    ordered = called("collections", "OrderedDict") + pickle.MARK + text("x") + tensor()
    versions = pickle.EMPTY_DICT + text("_metadata") + pickle.EMPTY_DICT + pickle.SETITEM
    program = ordered + pickle.SETITEMS + versions + pickle.BUILD
    found = read(tmp_path, archive(program, byteorder=b"little", version=b"3\n"))
    np.testing.assert_array_equal(found["x"], np.arange(6))
    parameter = called("torch._utils", "_rebuild_parameter", tensor(), pickle.NEWTRUE)
    shared = pickle.BINPUT + b"\x00" + pickle.BINGET + b"\x00"
    program = state(x=parameter + shared[:2]) + b""
    np.testing.assert_array_equal(read(tmp_path, archive(program))["x"], np.arange(6))


NESTED = pickle.EMPTY_TUPLE + pickle.TUPLE1 * 20_000
# Each level holds the one before twice, so that its hash takes for ever.
DOUBLED = pickle.EMPTY_TUPLE + (pickle.DUP + pickle.TUPLE2) * 60
SHARED = pickle.EMPTY_TUPLE + b"".join(
    pickle.BINPUT + bytes([i]) + pickle.BINGET + bytes([i]) + pickle.TUPLE2 for i in range(60)
)
PROGRAMS = {
    "nothing": (b"", "is damaged"),
    "a stack that is empty": (pickle.TUPLE2, "is damaged"),
    "no mark": (pickle.TUPLE, "is damaged"),
    "two results": (pickle.NONE + pickle.NONE, "is damaged"),
    "below a mark": (pickle.NONE + pickle.MARK + pickle.TUPLE1, "is damaged"),
    "a memo that is not there": (pickle.LONG_BINGET + b"\xff\xff\xff\x7f", "is damaged"),
    "a memo of 2**31": (
        pickle.NONE + pickle.LONG_BINPUT + b"\xff\xff\xff\x7f",
        "holds no named tensors",
    ),
    "text beyond the file": (pickle.BINUNICODE + b"\xff\xff\xff\x7f", "is damaged"),
    "text of 2**60": (pickle.BINUNICODE8 + struct.pack("<Q", 2**60), "is damaged"),
    "an instruction that is none": (b"\xee", "is damaged"),
    "a tuple nested deeply": (NESTED, "holds no named tensors"),
    "a tuple nested deeply as a key": (
        pickle.EMPTY_DICT + NESTED + pickle.NONE + pickle.SETITEM,
        "has a key of the kind tuple",
    ),
    "a tuple doubled as a key": (
        pickle.EMPTY_DICT + SHARED + pickle.NONE + pickle.SETITEM,
        "has a key of the kind tuple",
    ),
    "a tuple doubled as a name": (SHARED + SHARED + pickle.STACK_GLOBAL, "is damaged"),
    "a tuple doubled as an id": (SHARED + pickle.BINPERSID, "refers to a tuple"),
    "DUP": (DOUBLED, "instruction DUP"),
    "a set": (pickle.EMPTY_SET, "instruction EMPTY_SET"),
    "a new object": (
        named("collections", "OrderedDict") + pickle.EMPTY_TUPLE + pickle.NEWOBJ,
        "instruction NEWOBJ",
    ),
    "an extension": (pickle.EXT1 + b"\x01", "instruction EXT1"),
    "a call of text": (
        text("x") + pickle.EMPTY_TUPLE + pickle.REDUCE,
        "calls what is not a tensor",
    ),
    "attributes of a tensor": (tensor() + pickle.EMPTY_DICT + pickle.BUILD, "sets attributes"),
    "attributes of a list": (pickle.EMPTY_LIST + pickle.NONE + pickle.BUILD, "sets attributes"),
    "items of a tuple": (pickle.EMPTY_TUPLE + pickle.NONE * 2 + pickle.SETITEM, "is damaged"),
    "an item of a dict": (pickle.EMPTY_DICT + pickle.NONE + pickle.APPEND, "is damaged"),
    "a list as a key": (
        pickle.EMPTY_DICT + pickle.EMPTY_LIST + pickle.NONE + pickle.SETITEM,
        "has a key of the kind list",
    ),
    "a tensor of a tensor": (
        state(x=called("torch._utils", "_rebuild_tensor_v2", tensor())),
        "is damaged",
    ),
    "a storage of no kind": (state(x=tensor(kind="UntypedStorage")), "asks for torch.Untyped"),
}
TENSORS = {
    "a stride of 0": tensor(size=(1000, 1000), stride=(0, 0)),
    "a window that slides": tensor(size=(3, 3), stride=(1, 1)),
    "an axis of 1e9": tensor(size=(10**9,)),
    "axes beyond 64 bits": tensor(size=(2**62, 2**62), stride=(1, 1)),
    "a hundred axes": tensor(size=(1,) * 100, stride=(1,) * 100),
    "more strides than axes": tensor(size=(6,), stride=(1, 1)),
    "a negative offset": tensor(offset=-1),
    "an offset of 2**60": tensor(offset=2**60),
    "a stride of 2**62": tensor(size=(2,), stride=(2**62,)),
    "a count of -1": tensor(count=-1),
    "a count beyond the bytes": tensor(count=7),
    "a storage that is not there": tensor(key="1"),
    "a storage above the folder": tensor(key="../data.pkl"),
}


@pytest.mark.parametrize(("program", "sentence"), PROGRAMS.values(), ids=PROGRAMS)
def test_programs_end_at_once_in_a_sentence(tmp_path, program, sentence):
    started = time.monotonic()
    with pytest.raises(UserError, match=sentence) as caught:
        read(tmp_path, archive(program))
    assert time.monotonic() - started < 20
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("program", TENSORS.values(), ids=TENSORS)
def test_tensors_beyond_their_storage(tmp_path, program):
    with pytest.raises(UserError, match="is damaged"):
        read(tmp_path, archive(state(x=program)))


def test_budgets(tmp_path, monkeypatch):
    program = state(**{f"x{i}": tensor() for i in range(200)})
    assert len(read(tmp_path, archive(program))) == 200
    with monkeypatch.context() as patch:
        patch.setattr(pickles, "MOST_INSTRUCTIONS", 1000)
        with pytest.raises(UserError, match="has more than 1000 pickle instructions"):
            read(tmp_path, archive(program))
    with monkeypatch.context() as patch:
        patch.setattr(torch_archive, "LARGEST_PROGRAM", 1000)
        with pytest.raises(UserError, match="describes its tensors in more than 1000 bytes"):
            read(tmp_path, archive(program))
    with monkeypatch.context() as patch:
        patch.setattr(torch_archive, "MOST_SHARED", 0)
        with pytest.raises(UserError, match="its tensors are larger than their numbers"):
            read(tmp_path, archive(program))


def test_members(tmp_path):
    with pytest.raises(UserError, match="is compressed, which PyTorch's checkpoints are not"):
        read(tmp_path, archive(state(x=tensor()), zipfile.ZIP_DEFLATED))
    with pytest.raises(UserError, match="written on a machine with another order of bytes"):
        read(tmp_path, archive(state(x=tensor()), byteorder=b"big"))
    content = bytearray(archive(state(x=tensor())))
    # The size that the directory says of the first member.
    place = content.index(b"PK\x01\x02") + 20
    content[place : place + 8] = struct.pack("<II", 2**31, 2**31)
    with pytest.raises(UserError, match="unpacks to more than its own size"):
        read(tmp_path, bytes(content))


@pytest.mark.parametrize("mask", [0x01, 0xFF])
def test_a_flipped_byte_anywhere_is_read_or_one_sentence(tmp_path, mask):
    sound = archive(state(x=tensor()))
    for place in range(len(sound)):
        flipped = bytes([sound[place] ^ mask])
        try:
            found = read(tmp_path, sound[:place] + flipped + sound[place + 1 :])
        except UserError:
            continue
        for array in found.values():
            np.testing.assert_array_equal(array, np.arange(6))
