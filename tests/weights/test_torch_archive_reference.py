"""Archives that PyTorch itself wrote."""

from collections import OrderedDict

import numpy as np
import pytest

from common.weights.files import read_tensors

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.reference


def test_every_kind_of_tensor(tmp_path):
    x = torch.arange(24.0).reshape(2, 3, 4)
    content = OrderedDict(
        plain=x,
        permuted=x.permute(2, 0, 1),
        slice=x[1, 1:, ::2],
        expanded=x[0, 0].expand(3, 4),
        parameter=torch.nn.Parameter(x[0]),
        scalar=torch.tensor(3),
        empty=torch.zeros(0, 4),
        half=x.half(),
        brain=x.bfloat16(),
        double=x.double(),
        boolean=x > 5,
        **{str(dtype): x.to(dtype) for dtype in (torch.int8, torch.uint8, torch.int16)},
    )
    torch.save(content, tmp_path / "x.pt")
    read = read_tensors(tmp_path / "x.pt")
    assert read.keys() == content.keys()
    for name, tensor in content.items():
        array = read[name]
        assert array.dtype.name == str(tensor.dtype).removeprefix("torch."), name
        np.testing.assert_array_equal(
            array.astype(np.float64), tensor.detach().to(torch.float64).numpy()
        )


def test_a_module_and_its_metadata(tmp_path):
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    torch.save({"state_dict": module.state_dict(), "epoch": 3}, tmp_path / "x.ckpt")
    read = read_tensors(tmp_path / "x.ckpt")
    assert read.keys() == module.state_dict().keys()
    np.testing.assert_array_equal(read["0.weight"], module[0].weight.detach().numpy())
