"""Package metadata; tool configuration lives in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

# One legible list per role. Lower bounds are the versions of the oldest stack
# that the tests run on (Python 3.13 with jax 0.7.2); nothing is bounded above.
RUNTIME = [
    "absl-py>=1.4.0",
    "etils[epath]>=1.15",
    "flax>=0.11.2",
    "ftfy>=6.3",
    "huggingface_hub>=0.34",
    "jax>=0.7.2",
    "jaxtyping>=0.3.2",
    "matplotlib>=3.10",
    "ml_collections>=1.1.0",
    "numpy>=2.1.3",
    "optax>=0.2.6",
    "orbax-checkpoint>=0.11.28",
    "pillow>=11.0",
    "rich>=13.0",
    "safetensors>=0.6",
    "scikit-learn>=1.6",
    "tensorboardX>=2.6.4",
    "transformers>=5.0",
]

TEST = [
    "beartype>=0.21",
    # A run in a bucket is tested with a bucket on this machine.
    "gcp-storage-emulator>=2026.7",
    "gcsfs>=2026.10",
    "nbformat>=5.10",
    "pytest>=8.4",
    "pytest-timeout>=2.4",
    "pytest-xdist>=3.8",
    "ruff>=0.14",
]

setup(
    name="promptax",
    version="0.1.0",
    description="MC-TI, ProText and AAPE on CLIP and Stable Diffusion, in JAX and Flax",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    # `YOUR_NAME` can be no account's name: put the one that holds the repository in its place,
    # here, in README.md and in colab/*.ipynb.
    url="https://github.com/YOUR_NAME/promptax",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=find_packages(
        include=["common*", "mcti_jax*", "protext_jax*", "aape_jax*", "configs*"]
    ),
    package_data={"common.pocket": ["models/**/*"]},
    install_requires=RUNTIME,
    extras_require={
        "tpu": ["jax[tpu]>=0.7.2"],
        "cuda": ["jax[cuda12]>=0.7.2"],
        "test": TEST,
        # The PyTorch references that the parity tests compare with; never needed at run time.
        "reference": [*TEST, "accelerate>=1.10", "diffusers>=0.40", "torch==2.13.0"],
        # Data sets by `tfds:NAME`; read without TensorFlow.
        "tfds": ["array_record>=0.8.6", "tensorflow-datasets>=4.9.10"],
        # A further place for metrics: `wandb=PROJECT` in any config.
        "wandb": ["wandb>=0.21"],
        # Folders in buckets: `--workdir=gs://BUCKET/FOLDER`.
        "gcs": ["gcsfs>=2026.10"],
        "notebook": ["ipykernel>=6.29", "nbclient>=0.10"],
    },
    classifiers=[
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
    ],
)
