"""Trains ProText: prompts learned from sentences; no picture is needed.

    python -m protext_jax.train --config=configs/protext.py[:key=value,...] --workdir=DIR

For example the bundled pocket world, or your own sentences, a JSON {class: [sentence, ...]}:

    python -m protext_jax.train --config=configs/protext.py --workdir=runs/protext
    python -m protext_jax.train --config=configs/protext.py:prompts.source=corpus.json \\
        --config.model=openai/clip-vit-base-patch16 --config.depth=9 --workdir=runs/mine

`python -m common.fields configs/protext.py` lists the fields that can be set, behind the colon or
by --config.key=value. If a run was stopped, the same command on the same folder continues it.
"""

from common.commands.train import define_flags, main
from common.errors import run_command

if __name__ == "__main__":
    run_command(main, define_flags)
