"""What a run says of itself: what it learns from, remarks, and fingerprints of what it reads."""

from collections.abc import Sequence

from ml_collections import ConfigDict

from common.clip import CLIP
from common.data.passed_over import listed
from common.protocols.table import BASE_TO_NEW
from common.text import counted
from common.training.types import EVALUATION
from common.weights.fingerprint import digest
from protext_jax.baseline_texts import Material
from protext_jax.baselines import check_baselines, check_cupl
from protext_jax.classnames import check_names, remark
from protext_jax.runs import RunSetting
from protext_jax.sweep import check_choice_of_runs
from protext_jax.testsets import TestSet, unmeasured
from protext_jax.training_texts import TrainingTexts


def summary(config: ConfigDict, texts: TrainingTexts, sets: Sequence[TestSet]) -> dict[str, str]:
    """Return the rows of the table that a run begins with."""
    matched, trained = texts.matched, len(texts.names)
    total = len(texts.dataset.classnames) if texts.dataset else trained + len(matched.undescribed)
    half = ", the base half" if config.protocol == BASE_TO_NEW and texts.dataset else ""
    overlong, held_out = sum(matched.overlong.values()), len(texts.held_out)
    sentences = sum(map(len, matched.groups)) + overlong
    copies = sentences - texts.pairs - held_out - overlong
    counts = {
        ("class without a sentence", "classes without a sentence"): len(matched.undescribed),
        ("key of the corpus", "keys of the corpus"): len(matched.unmatched),
        ("sentence too long", "sentences too long"): overlong,
        ("copy", "copies"): copies,
    }
    held_names = counted(len(texts.held_names), "class")
    apart = f", all of {held_names} among them" if texts.held_names else ""
    part = f"{texts.pairs} of " if texts.pairs != sentences else ""
    unread = ", ".join(counted(count, *what) for what, count in counts.items() if count)
    beside = listed(texts.dataset.passed_over) if texts.dataset else ""
    rows = {
        "classes": f"{trained} of {total}{half}" if total != trained else str(trained),
        "learns from": f"{part}{counted(sentences, 'sentence')}",
        "passed over": "; ".join(filter(None, (unread, beside))),
        "held out": f"{counted(held_out, 'sentence')}{apart}, for the signals of text alone"
        if held_out
        else "",
        "kept for the test": ", ".join(
            f"{counted(len(test.split), 'picture')} of {len(test.classnames)} "
            f"{test.prefix.removesuffix('/') or 'known'} classes"
            for test in sets
        )
        or "no picture: nothing is measured but text",
    }
    return {name: text for name, text in rows.items() if text}


def notes(
    config: ConfigDict,
    texts: TrainingTexts,
    sets: Sequence[TestSet],
    material: Material,
    runs: Sequence[RunSetting],
) -> list[str]:
    """Return remarks on what is read beside the sentences, each line once.

    Raises:
      UserError: A file does not fit the classes that are measured on.
    """
    opened = texts.dataset.classnames if texts.dataset else ()
    names = [*opened, *(name for test in sets for name in test.classnames)]
    lines = [
        *check_names(config.names, names),
        *unmeasured(config, texts),
        *check_baselines(config, sets, material),
        *check_cupl(config, sets, material),
        *check_choice_of_runs(runs, len(texts.held_out)),
        *map(remark, (config.data, *config.targets)),
    ]
    return list(filter(None, dict.fromkeys(lines)))


def fingerprints(
    config: ConfigDict,
    clip: CLIP,
    texts: TrainingTexts,
    sets: Sequence[TestSet],
    material: Material,
) -> dict[str, str]:
    """Fingerprint everything that a run reads beside the sentences that it is trained on."""
    prints = {
        "model": clip.fingerprint,
        "tokenizer": clip.tokenizer.fingerprint,
        "held-out sentences": digest([texts.held_out, texts.held_label.tolist()]),
    }
    measured = {
        "test pictures": [
            [test.prefix, test.classnames, test.template, test.plain, test.split.fingerprint]
            for test in sets
        ],
        "preprocessing": repr(clip.preprocess),
    }
    if config.descriptors:
        measured["descriptors"] = material.descriptors
    if config.words:
        measured["words"] = material.words
    if config.coop_shots and texts.dataset:
        measured["photos of CoOp"] = texts.dataset.train.fingerprint
    return prints | {f"{EVALUATION}{name}": digest([x]) for name, x in measured.items()}
