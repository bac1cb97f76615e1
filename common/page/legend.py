"""What the names on a page mean, for those who meet them for the first time."""

import re
from collections.abc import Iterable, Mapping

ROWS: Mapping[str, str] = {
    "mcti": "MC-TI: one learned token for each class",
    "protext": "ProText: learned prompt vectors in front of each class name",
    "aape": "AAPE: a prompt feature that is generated from each image",
    "ti": "plain textual inversion: MC-TI without its classification loss",
    "names": "zero-shot CLIP with the names of the classes",
    "clip": "zero-shot CLIP with one template",
    "clip_80": "zero-shot CLIP with the 80 templates of ImageNet, averaged",
    "attributes": "zero-shot CLIP with 47 templates that name attributes, averaged",
    "cupl": "CuPL: the mean feature of the sentences about each class",
    "dclip": "DCLIP: the mean feature of short phrases about each class",
    "waffle_clip": "WaffleCLIP: class names with random words and letters behind them, averaged",
    "protext_cupl": "the mean of ProText's and CuPL's class features",
    "coop": "CoOp: context vectors that are learned from photos",
    "cocoop": "CoCoOp: CoOp with context vectors that depend on the image",
    "clip_adapter": "CLIP-Adapter: a small network behind the class features",
    "tip_adapter": "Tip-Adapter: similarity with the training photos, added to CLIP's scores",
    "tip_adapter_f": "Tip-Adapter-F: Tip-Adapter with trained features of the photos",
    "linear_probe": "logistic regression on the features of the training photos",
    "nearest_class_mean": "the mean feature of each class's training photos",
    "nearest_neighbour": "the class of the nearest training photo",
    "paper": "AAPE as the paper's text has it, to the letter",
    "no_distillation": "the method without the distillation loss",
    "aape_only": "AAPE's generated feature as the query, without the classifier's projection",
    "mean_prompt": "AAPE that is taught by the plain mean of the sentences",
    "mean_prompt_only": "mean_prompt with the generated feature as the query",
    "random_prompt": "AAPE that is taught by a random sentence",
    "mlp_prompt": "AAPE whose aggregator is a small network",
    "attention_prompt": "AAPE whose aggregator is the paper's attention layer",
    "before_visual": "AAPE with its token in front of the visual tokens",
    "none": "the language model behind the visual tokens alone, without AAPE",
    "nearest_caption": "the training caption that CLIP finds nearest to the image",
    "blind": "the language model without any image",
    "most_frequent": "the most frequent training answer",
    "most_frequent_by_question": "the most frequent training answer to the same question",
    "question_only": "the head without the image",
}
"""Methods, their variants and baselines."""

METRICS: Mapping[str, str] = {
    "generated/accuracy": "share of the drawn pictures whose class the learned tokens find",
    "generated/accuracy_by_photos": "the same, judged by the training photos",
    "generated/clip_i": "cosine of drawn pictures and training photos of a class, in CLIP",
    "generated/clip_t": "cosine of drawn pictures and their token's text feature, in CLIP",
    "generated/diversity": "one minus the cosine of the pictures of a class among themselves",
    "drift/norm": "length of the learned vectors",
    "drift/distance": "distance of the learned vectors from their start",
    "drift/cosine_to_start": "cosine of the learned vectors with their start",
    "base/accuracy": "accuracy on the classes that were learned, among these alone",
    "new/accuracy": "accuracy on the classes that were not learned, among these alone",
    "average/accuracy": "mean of the accuracies on the further data sets",
    "text/cosine": "mean cosine of a class's text feature and its sentences",
    "text/least_cosine": "the smallest of these cosines",
    "text/held_out_cosine": "cosine with sentences that were not learned from",
    "text/retrieval_accuracy": "share of these sentences that find their class",
    "accuracy": "share of the test photos, or questions, that get the right class or answer",
    "class_accuracy": "accuracy of each class, then the mean over classes",
    "accuracy_single": 'accuracy with the prompt "a photo of a X" alone',
    "bank_accuracy": "share of the training photos that find their class",
    "mse": "mean squared error of the predicted noise",
    "ce": "cross-entropy of the class among all classes",
    "joint_ce": "cross-entropy of a photo's class among all tokens",
    "joint_accuracy": "share of the training photos that find their token",
    "loss": "what training minimises",
    "task": "mean cross-entropy of the task",
    "distill": "mean distance of the generated feature from the aggregated prompt",
    "cosine": "mean cosine of a class's text feature and its sentences",
    "parameters": "number of trained values",
    "cider_d": "CIDEr-D: agreement with people's captions, rare words counting more",
    "bleu_4": "BLEU-4: shared runs of up to four words",
    "rouge_l": "ROUGE-L: longest shared sequence of words",
    "clip_score": "CLIPScore: 2.5 times the cosine of image and caption",
    "ref_clip_score": "RefCLIPScore: CLIPScore and the nearest person's caption together",
    "nats_per_token": "cross-entropy of people's captions",
}
"""Metrics by name, or by what stands behind the last slash of it."""

PICTURES: Mapping[str, str] = {
    "confusion": "photos of each true class (rows) by the class they were taken for (columns)",
    "similarity": "cosines between classes before training, after it, and of their sentences",
    "samples": "training photos, and what the tokens draw",
    "attention": "training photos with the sentences that the aggregator weighs most",
    "captions": "test pictures with the caption of each row",
    "answers": "test pictures with questions and answers",
}
"""Pictures by the name of their file."""


def legend(
    rows: Iterable[str], metrics: Iterable[str], pictures: Iterable[str]
) -> list[tuple[str, str]]:
    """Return each name that is known with its meaning, in the order of the tables above.

    Args:
      rows: Names of a result's rows.
      metrics: Names of its metrics and curves.
      pictures: Names of its pictures.
    """
    measured = {name if name in METRICS else name.rpartition("/")[2] for name in metrics}
    shown = ((ROWS, set(rows)), (METRICS, measured), (PICTURES, set(pictures)))
    return [
        (name if table is ROWS else re.sub("[_/]", " ", name), table[name])
        for table, names in shown
        for name in table
        if name in names
    ]
