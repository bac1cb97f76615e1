"""How a language model is spread over a mesh axis "model" (Megatron-LM, arXiv 1909.08053)."""

from jax.sharding import PartitionSpec as P


def lm_rules(prefix: str) -> tuple[tuple[str, P], ...]:
    """Return the sharding rules for the parameters below `prefix` of a tree.

    Heads and the MLP's channels are split, so that a block communicates twice; the token
    embeddings are split along the width, which devices can share more often than a vocabulary.
    """
    block = rf"{prefix}/block_\d+"
    return (
        (rf"{block}/attention/(query|key|value)/kernel", P(None, "model")),
        (rf"{block}/attention/(query|key|value)/bias", P("model")),
        (rf"{block}/attention/out/kernel", P("model", None)),
        (rf"{block}/mlp/fc1/kernel", P(None, "model")),
        (rf"{block}/mlp/fc1/bias", P("model")),
        (rf"{block}/mlp/fc2/kernel", P("model", None)),
        (rf"{prefix}/token_embedding", P(None, "model")),
        (rf"{prefix}/head/kernel", P(None, "model")),
        (rf"{prefix}/head/bias", P("model")),
    )
