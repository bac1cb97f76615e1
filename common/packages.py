"""The packages of this project: a new method is one name here, and every other list follows."""

METHODS = ("mcti_jax", "protext_jax", "aape_jax")
PACKAGES = ("common", *METHODS)
