"""What tests of tiny models share."""

import jax
import pytest


@pytest.fixture(scope="module")
def quick_compiler():
    """Programs that run for milliseconds are not worth the seconds of optimising them."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
