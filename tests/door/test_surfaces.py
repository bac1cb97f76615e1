"""The public surface of each package is its `__all__`, and costs nothing until it is used."""

import importlib
import os
import subprocess
import sys

import pytest

from common.packages import PACKAGES


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_there_and_described(package):
    module = importlib.import_module(package)
    assert module.__all__ == sorted(set(module.__all__)) and set(module.__all__) <= set(dir(module))
    for name in module.__all__:
        assert getattr(module, name).__doc__, name


@pytest.mark.parametrize("package", PACKAGES)
def test_no_public_name_is_a_module_of_its_package(package):
    """Else `from package import name` would give one or the other."""
    module = importlib.import_module(package)
    for name in module.__all__:
        assert importlib.util.find_spec(f"{package}.{name}") is None


def test_other_names_are_refused_as_by_any_module():
    with pytest.raises(AttributeError, match="module 'mcti_jax' has no attribute 'nothing'"):
        _ = importlib.import_module("mcti_jax").nothing
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        exec("from protext_jax import nothing")


def test_importing_a_package_imports_no_library():
    lines = (
        f"import sys, {', '.join(PACKAGES)}\nprint(*{{'jax', 'numpy', 'absl'}} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def test_public_names_touch_no_device():
    """A cluster is joined before that, by `train`."""
    lines = """
import common, mcti_jax, protext_jax, aape_jax
for package in (common, mcti_jax, protext_jax, aape_jax):
    for name in package.__all__:
        getattr(package, name)
mcti_jax.MCTI(), protext_jax.ProText(), aape_jax.Classification()
"""
    environment = {**os.environ, "JAX_PLATFORMS": "none"}  # Whoever asks for a device fails.
    command = [sys.executable, "-c", lines]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
