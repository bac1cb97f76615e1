"""What `dtype` means in the programs that TPUs run."""

import re

import pytest

from common.aot import compile_for, program
from tests.aot import toy

pytestmark = pytest.mark.tpu_backend
SMALL = "classes=4,samples=1,compare_ti=false,steps_per_call=2,log_every=2,save_every=2"
PRODUCT = re.compile(r" = (\w+)\[.* (?:dot|convolution)\(.*")


@pytest.fixture
def products(monkeypatch):
    """Compiles a config for a TPU and gives the lines of the matrix products and convolutions."""
    texts, compile_ = [], program.compile_lowered

    def kept(lowered):
        compiled, text = compile_(lowered)
        texts.append(text)
        return compiled, text

    monkeypatch.setattr(program, "compile_lowered", kept)

    def compiled(config, topology="v5e:1x1"):
        compile_for(config, topology)
        return [found[0] for found in map(PRODUCT.search, texts[-1].splitlines()) if found]

    return compiled


def exact(line):
    return "operand_precision={highest,highest}" in line


def of_toy(dtype):
    config = toy.get_config("Shared")
    config.dtype = dtype
    return config


@pytest.mark.parametrize("topology", ["v5e:1x1", "v6e:2x2"])
def test_float32_is_float32(products, topology):
    found = products(of_toy("float32"), topology)
    assert len(found) >= 2 and all(map(exact, found))


@pytest.mark.parametrize("dtype", ["bfloat16", "auto"])
def test_other_programs_stay_as_they_were(products, dtype):
    config = toy.get_config("Shared")
    untouched = products(config)
    assert products(of_toy(dtype)) == untouched
    assert not any(map(exact, untouched))


def test_float32_is_float32_in_every_part_of_a_step(products, settings):
    """Text tower, U-Net, classification and all their gradients."""
    found = products(settings(f"{SMALL},dtype=float32"))
    assert len(found) > 100 and all(map(exact, found))
