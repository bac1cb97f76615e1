"""TorchScript, and checkpoints with what training leaves beside the weights."""

import pickle

import numpy as np
import pytest

from benchmarks.archives import Program, checkpoint_archive, named, script_archive, text
from common.errors import UserError
from common.weights import torch_script
from common.weights.files import read_tensors

TENSORS = {
    "a.b.weight": np.arange(6, dtype=np.float16).reshape(2, 3),
    "a.bias": np.ones(3, np.float32),
    "scale": np.array(4.6, np.float32),
    "size": np.array(224),
}


def read(tmp_path, content, name="x.pt"):
    (tmp_path / name).write_bytes(content)
    return read_tensors(tmp_path / name)


def same(one, other):
    assert one.keys() == other.keys()
    for name, tensor in other.items():
        assert (one[name].dtype, one[name].shape) == (tensor.dtype, tensor.shape)
        np.testing.assert_array_equal(one[name], tensor)


def test_the_weights_of_torchscript(tmp_path):
    same(read(tmp_path, script_archive(TENSORS)), TENSORS)


def test_modules_that_hold_each_other_without_end(tmp_path):
    # 50 levels, each of which holds the one below twice.
    made = Program().made("__torch__.x", "M", {})
    for level in range(50):
        first, second = (step + bytes([level]) for step in (pickle.BINPUT, pickle.BINGET))
        made = Program().made("__torch__.x", "M", {"a": made + first, "b": second})
    with pytest.raises(UserError, match="its modules hold each other without end"):
        read(tmp_path, Program().archive(made, **{"constants.pkl": b""}))
    new = named("__torch__.x", "M") + pickle.EMPTY_TUPLE + pickle.NEWOBJ
    state = pickle.EMPTY_DICT + text("a") + pickle.BINGET + b"\x01" + pickle.SETITEM
    circle = new + pickle.BINPUT + b"\x01" + state + pickle.BUILD
    with pytest.raises(UserError, match="its modules hold each other without end"):
        read(tmp_path, Program().archive(circle, **{"constants.pkl": b""}))


def test_many_names(tmp_path, monkeypatch):
    monkeypatch.setattr(torch_script, "_MOST_NAMED", 3)
    with pytest.raises(UserError, match="hold each other without end"):
        read(tmp_path, script_archive(TENSORS))


def test_classes_of_torchscript_outside_of_it(tmp_path):
    program = Program()
    with pytest.raises(UserError, match=r"asks for __torch__\.multimodal\.Module"):
        read(tmp_path, program.archive(program.module({"x": np.ones(2, np.float32)})))


def test_what_training_leaves_is_named_and_never_made(tmp_path):
    program = Program()
    weight = program.tensor(TENSORS["a.bias"])
    adam = program.made("torch.optim.adamw", "AdamW", {"lr": program.value(1)})
    moments = pickle.EMPTY_DICT + weight + program.value({"step": 1}) + pickle.SETITEM
    lightning = pickle.EMPTY_DICT + named("pytorch_lightning.callbacks", "ModelCheckpoint")
    content = {
        "epoch": 3,
        "name": "run",
        "state_dict": {f"module.{key}": x for key, x in TENSORS.items()},
        "optimizer": {"adam": adam, "state": moments},
        "callbacks": lightning + program.value({"best": 1}) + pickle.SETITEM,
        "score": named("numpy.core.multiarray", "scalar") + pickle.EMPTY_TUPLE + pickle.REDUCE,
    }
    same(read(tmp_path, program.archive(program.value(content)), "epoch_3.pt"), TENSORS)


@pytest.mark.parametrize(
    "name",
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("torch", "load"),
        ("torch.optimist", "x"),
        ("numpyx", "load"),
        ("torch.hub", "load"),
        ("subprocess", "Popen"),
    ],
)
def test_what_is_no_librarys_is_refused(tmp_path, name):
    program = Program()
    content = {"state_dict": TENSORS, "x": named(*name)}
    with pytest.raises(UserError, match=r"asks for .*, which is not a tensor"):
        read(tmp_path, program.archive(program.value(content)))


def test_a_placeholder_runs_nothing(tmp_path, monkeypatch):
    """A name of a library that would write a file, called as a pickle calls."""
    program, marked = Program(), tmp_path / "code-has-run"
    arguments = text(str(marked)) + program.tensor(np.ones(2, np.float32)) + pickle.TUPLE2
    saved = named("numpy", "save") + arguments + pickle.REDUCE
    content = checkpoint_archive({"state_dict": {"x": np.ones(2, np.float32)}})
    assert read(tmp_path, content).keys() == {"x"}
    value = program.value({"state_dict": {"x": np.ones(2, np.float32)}, "y": saved})
    assert read(tmp_path, program.archive(value)).keys() == {"x"}
    assert not marked.exists() and not marked.with_suffix(".npy").exists()


@pytest.mark.reference
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_what_pytorch_itself_writes(tmp_path):
    torch = pytest.importorskip("torch")
    block = torch.nn.Sequential(torch.nn.LayerNorm(4), torch.nn.Linear(4, 4).half().float())
    block.register_buffer("input_resolution", torch.tensor(224))
    expected = {key: x.numpy() for key, x in block.state_dict().items()}
    torch.jit.save(torch.jit.trace(block, torch.ones(2, 4)), tmp_path / "traced.pt")
    same(read_tensors(tmp_path / "traced.pt"), expected)
    optimizer = torch.optim.SGD(block.parameters(), 0.1, momentum=0.9)
    block(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 5)
    content = {
        "state_dict": block.state_dict(),
        "optimizer": optimizer.state_dict(),
        # As Dassl's warm-up keeps it: an object, which holds the optimizer.
        "scheduler": {"successor": schedule},
        "score": np.float64(3),
    }
    torch.save(content, tmp_path / "epoch_1.pt")
    same(read_tensors(tmp_path / "epoch_1.pt"), expected)
