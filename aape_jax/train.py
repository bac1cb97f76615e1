"""Trains AAPE; the config says for which task.

    python -m aape_jax.train --config=configs/aape.py[:key=value,...] --workdir=DIR

For example few-shot classification, retrieval, questions and captions in the pocket world:

    python -m aape_jax.train --config=configs/aape.py:shots=4 --workdir=runs/aape
    python -m aape_jax.train --config=configs/aape_retrieval.py --workdir=runs/retrieval
    python -m aape_jax.train --config=configs/aape_vqa.py --workdir=runs/vqa
    python -m aape_jax.train --config=configs/aape_captioning.py --workdir=runs/captioning

`python -m common.fields configs/aape.py` lists the fields that can be set, behind the colon or
by --config.key=value. If a run was stopped, the same command on the same folder continues it.
"""

from common.commands.train import define_flags, main
from common.errors import run_command

if __name__ == "__main__":
    run_command(main, define_flags)
