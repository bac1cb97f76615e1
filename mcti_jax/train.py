"""Trains MC-TI: a token for each class, from a few photos of it.

    python -m mcti_jax.train --config=configs/mcti.py[:key=value,...] --workdir=DIR

For example the bundled pocket models and pictures, or your own photos, a folder per class:

    python -m mcti_jax.train --config=configs/mcti.py --workdir=runs/mcti
    python -m mcti_jax.train --config=configs/mcti.py:recipe=photos,data=folder:photos \\
        --config.init_word=dog --workdir=runs/mine

`python -m common.fields configs/mcti.py` lists the fields that can be set, behind the colon or
by --config.key=value. If a run was stopped, the same command on the same folder continues it.
"""

from common.commands.train import define_flags, main
from common.errors import run_command

if __name__ == "__main__":
    run_command(main, define_flags)
