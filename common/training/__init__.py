"""The training loop, and what a method says to it and hears from it."""

from common.lazy import lazily

__all__, __getattr__, __dir__ = lazily(
    __name__,
    {
        "common.progress": ("say",),
        "common.training.ledger": ("TrainingDiverged",),
        "common.training.method": (
            "Method",
            "find_method",
        ),
        "common.training.run": ("train",),
        "common.training.types": (
            "Evaluation",
            "RunInputs",
            "Source",
        ),
    },
)
