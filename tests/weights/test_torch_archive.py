"""The restricted unpickler on archives written by hand: tensors pass, code does not run."""

import io
import pickle
import struct
import zipfile

import numpy as np
import pytest

from common.errors import UserError
from common.weights.files import read_tensors


def unicode(text):
    encoded = text.encode()
    return pickle.BINUNICODE + struct.pack("<I", len(encoded)) + encoded


def called(module, name):
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()


def numbers(*values):
    encoded = b"".join(pickle.BININT + struct.pack("<i", value) for value in values)
    return pickle.MARK + encoded + pickle.TUPLE


def tensor(storage="FloatStorage", key="0", count=6, offset=0, size=(2, 3), stride=(3, 1)):
    """The opcodes of a tensor as `torch.save` writes it."""
    pid = unicode("storage") + called("torch", storage) + unicode(key) + unicode("cpu")
    pid = pickle.MARK + pid + pickle.BININT + struct.pack("<i", count) + pickle.TUPLE
    arguments = pid + pickle.BINPERSID + pickle.BININT + struct.pack("<i", offset)
    arguments += numbers(*size) + numbers(*stride) + pickle.NEWFALSE
    arguments += called("collections", "OrderedDict") + pickle.EMPTY_TUPLE + pickle.REDUCE
    rebuild = called("torch._utils", "_rebuild_tensor_v2")
    return rebuild + pickle.MARK + arguments + pickle.TUPLE + pickle.REDUCE


def mapping(**entries):
    items = b"".join(unicode(name) + value for name, value in entries.items())
    return pickle.EMPTY_DICT + pickle.MARK + items + pickle.SETITEMS


def archive(path, program):
    """A checkpoint with this pickle and one storage: 0 to 5 in float32."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", pickle.PROTO + b"\x02" + program + pickle.STOP)
        file.writestr("archive/data/0", np.arange(6, dtype=np.float32).tobytes())
    return path


def test_tensors_with_offset_and_strides(tmp_path):
    path = archive(
        tmp_path / "x.bin",
        mapping(
            whole=tensor(),
            turned=tensor(size=(3, 2), stride=(1, 3)),
            tail=tensor(offset=4, size=(2,), stride=(1,)),
            scalar=tensor(offset=5, size=(), stride=()),
            note=unicode("text is not a weight"),
        ),
    )
    whole = np.arange(6, dtype=np.float32).reshape(2, 3)
    read = read_tensors(path)
    assert read.keys() == {"whole", "turned", "tail", "scalar"}
    np.testing.assert_array_equal(read["whole"], whole)
    np.testing.assert_array_equal(read["turned"], whole.T)
    np.testing.assert_array_equal(read["tail"], [4, 5])
    assert read["scalar"] == 5 and read["scalar"].shape == ()


def test_a_nested_state_dict(tmp_path):
    path = archive(tmp_path / "x.ckpt", mapping(state_dict=mapping(x=tensor()), step=unicode("7")))
    assert read_tensors(path).keys() == {"x"}


def marker(tmp_path):
    return tmp_path / "code-has-run"


def programs(command):
    """Pickles that run `command` in an ordinary unpickler."""
    text = pickle.MARK + unicode(command) + pickle.TUPLE + pickle.REDUCE
    yield "a function", called("os", "system") + text
    yield "a builtin", called("builtins", "exec") + text
    yield "inside a tensor", mapping(x=tensor(), y=called("posix", "system") + text)
    yield "torch's own loader", called("torch", "load") + text
    yield "an old-style instance", pickle.MARK + unicode(command) + b"ios\nsystem\n"
    yield (
        "a look-alike storage",
        pickle.MARK + unicode("storage") + called("os", "system") + pickle.TUPLE
        + pickle.BINPERSID,
    )  # fmt: skip


@pytest.mark.parametrize("index", range(6))
def test_code_is_refused_and_does_not_run(tmp_path, index):
    marked = marker(tmp_path)
    what, program = list(programs(f"touch {marked}"))[index]
    with pytest.raises(UserError, match=r"asks for .* which is not a tensor"):
        read_tensors(archive(tmp_path / "x.bin", program))
    assert not marked.exists(), what


def test_the_dangerous_pickles_are_dangerous(tmp_path):
    """Else the test above would pass on anything."""
    marked = marker(tmp_path)
    _, program = next(programs(f"touch {marked}"))
    pickle.load(io.BytesIO(pickle.PROTO + b"\x02" + program + pickle.STOP))
    assert marked.exists()


@pytest.mark.parametrize(
    "broken",
    [
        tensor(size=(4, 3)),
        tensor(offset=3),
        tensor(offset=-1),
        tensor(stride=(30, 1)),
        tensor(stride=(-3, 1)),
        tensor(count=7),
        tensor(key="1"),
        tensor(size=(-1, 3)),
    ],
)
def test_no_tensor_reads_outside_its_storage(tmp_path, broken):
    with pytest.raises(UserError, match="is damaged"):
        read_tensors(archive(tmp_path / "x.bin", mapping(x=broken)))


def test_files_of_other_kinds(tmp_path):
    path = tmp_path / "x.bin"
    path.write_bytes(pickle.dumps({"x": 1}))
    with pytest.raises(UserError, match="is damaged or in PyTorch's format from before"):
        read_tensors(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("hello.txt", "hello")
    with pytest.raises(UserError, match="is a zip file but not a PyTorch checkpoint"):
        read_tensors(path)
    with pytest.raises(UserError, match="holds no named tensors"):
        read_tensors(archive(path, tensor()))
    with pytest.raises(UserError, match=r"refers to .* which is not a tensor storage"):
        program = pickle.MARK + unicode("module") + pickle.NONE * 4 + pickle.TUPLE
        read_tensors(archive(path, program + pickle.BINPERSID))
