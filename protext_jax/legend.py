"""What the terms of ProText's tables mean."""

from common.terms import Terms

TERMS = Terms(
    rows={
        "protext": "ProText: learned prompt vectors in front of each class name",
        "clip_80": "zero-shot CLIP with the 80 templates of ImageNet, averaged",
        "attributes": "zero-shot CLIP with 47 templates that name attributes, averaged",
        "dclip": "DCLIP: the mean feature of short phrases about each class",
        "waffle_clip": "WaffleCLIP: class names with random words and letters behind them",
        "protext_cupl": "the mean of ProText's and CuPL's class features",
    },
    metrics={
        "average/accuracy": "mean of the accuracies on the further data sets",
        "text/cosine": "mean cosine of a class's text feature and its sentences",
        "text/least_cosine": "the smallest of these cosines",
        "text/held_out_cosine": "cosine with sentences that were not learned from",
        "text/retrieval_accuracy": "share of these sentences that find their class",
        "prompts_alone/held_out_cosine": "the same without blend, by which a run stops early",
        "prompts_alone/retrieval_accuracy": "the same without blend, by which a run stops early",
        "cosine": "mean cosine of a class's text feature and its sentences",
    },
    pictures={
        "similarity": "cosines between classes before training, after it, and of their sentences",
    },
)
