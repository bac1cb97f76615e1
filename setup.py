"""Package metadata; tool configuration lives in pyproject.toml."""

from pathlib import Path
from runpy import run_path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent

# The address of the repository, once it has one; the notebooks' forms begin with it.
REPOSITORY = ""

# One legible list per role. Lower bounds are the versions of the oldest stack
# that the tests run on (Python 3.13 with jax 0.7.2); nothing that runs is bounded above.
#
# What parses files of strangers is bounded by its last known fix instead, and where an image such
# as Colab's holds an older one, installing upgrades it:
#
# | package             | from   | since                                                         |
# | ------------------- | ------ | ------------------------------------------------------------- |
# | pillow              | 13.0.0 | memory and bombs in decoders; CVE-2026-55798, -59197 to -59200 |
# |                     |        | ended in 12.3.0, the next ones in 13.0.0                      |
# | transformers        | 5.10.1 | files written anywhere (CVE-2026-9856); code run from         |
# |                     |        | config.json (CVE-2026-4372) ended in 5.3.0                    |
# | huggingface_hub     | 1.27   | file names that leave the folder (its pull request 4540)      |
# | protobuf            | 6.33.5 | nesting in JSON without end (CVE-2026-0994)                   |
# | torch               | 2.13.0 | pinned; code run from weights (CVE-2025-32434) ended in 2.6   |
# | safetensors         | 0.8    | none known; what transformers asks for                        |
# | tokenizers          | 0.22   | none known; what transformers asks for                        |
# | msgpack             | 1.1    | none known; what flax reads and writes with                   |
# | numpy               | 2.1.3  | none known since 1.22; pickles are never read                 |
# | array_record        | 0.8.6  | none known; the newest                                        |
# | tensorflow-datasets | 4.9.10 | none known; the newest                                        |
# | datasets            | 5.2.0  | none known; the newest, which runs no code of data sets and   |
# |                     |        | refuses pickles                                               |
RUNTIME = [
    "absl-py>=1.4.0",
    "etils[epath]>=1.15",
    "flax>=0.11.2",
    "ftfy>=6.3",
    "huggingface_hub>=1.27",
    "jax>=0.7.2",
    "jaxtyping>=0.3.2",
    "matplotlib>=3.10",
    "ml_collections>=1.1.0",
    "msgpack>=1.1",
    "numpy>=2.1.3",
    "optax>=0.2.6",
    "orbax-checkpoint>=0.11.28",
    "pillow>=13.0.0",
    "rich>=13.0",
    "safetensors>=0.8",
    "scikit-learn>=1.6",
    "tensorboardX>=2.6.4",
    "tokenizers>=0.22",
    "transformers>=5.10.1",
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
    "PyYAML>=6.0",
    # One version, so that all format alike; .pre-commit-config.yaml names it, too.
    "ruff==0.17.6",
]

PACKAGES = run_path(str(HERE / "common" / "packages.py"))["PACKAGES"]

setup(
    name="promptax",
    version=run_path(str(HERE / "common" / "version.py"))["__version__"],
    description="MC-TI, ProText and AAPE on CLIP and Stable Diffusion, in JAX and Flax",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    url=REPOSITORY,
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=find_packages(include=[f"{name}*" for name in (*PACKAGES, "configs")]),
    package_data={"common.pocket": ["models/**/*"]},
    install_requires=RUNTIME,
    extras_require={
        "tpu": ["jax[tpu]>=0.7.2"],
        "cuda": ["jax[cuda12]>=0.7.2"],
        "test": TEST,
        # The PyTorch references that the parity tests compare with; never needed at run time.
        "reference": [*TEST, "accelerate>=1.10", "diffusers>=0.40", "torch==2.13.0"],
        # Data sets by `tfds:NAME`; read without TensorFlow.
        "tfds": ["array_record>=0.8.6", "protobuf>=6.33.5", "tensorflow-datasets>=4.9.10"],
        # Data sets by `hf:OWNER/NAME` or `hf:PATH`.
        "hf": ["datasets>=5.2.0"],
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
