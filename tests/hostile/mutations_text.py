"""What takes the checks of names, corpora and settings of text out, and the test that notices.

python -m tests.hostile.mutations_text [NAME ...]
"""

from tests.mutations import Mutation, main

NAMES = "hostile/test_class_names.py"
CORPORA = "hostile/test_corpora.py"
PROTEXT = "hostile/test_protext_settings.py"
AAPE = "hostile/test_aape_settings.py"
INPUTS = "hostile/test_changed_inputs.py"

MUTATIONS = (
    Mutation(
        "two keys for one class",
        "common/data/matching.py",
        "if not same(keys[0], key):",
        "if False:",
        NAMES,
    ),
    Mutation(
        "two classes for one key",
        "common/data/matching.py",
        "if _words(other) != _words(name):",
        "if False:",
        NAMES,
    ),
    Mutation(
        "a found key is looked for again",
        "common/data/matching.py",
        "if rule != SAME_WORDS[0]:",
        "if False:",
        NAMES,
    ),
    Mutation(
        "no match goes on",
        "common/data/matching.py",
        "if not matches.keys:",
        "if False:",
        NAMES,
    ),
    Mutation(
        "the year stays where it is",
        "common/data/matching.py",
        'r"\\2 \\1", words',
        'r"\\1 \\2", words',
        NAMES,
    ),
    Mutation(
        "names that say nothing are one",
        "common/data/matching.py",
        "if normal := form(name):",
        "if (normal := form(name)) is not None:",
        NAMES,
    ),
    Mutation(
        "control characters in prompts",
        "common/data/names.py",
        '_UNSEEN.sub(" ", name.replace("_", " "))',
        'name.replace("_", " ")',
        NAMES,
    ),
    Mutation(
        "a names file that fits nothing",
        "protext_jax/classnames.py",
        "if wanted and len(idle) == len(wanted):",
        "if False:",
        NAMES,
    ),
    Mutation(
        "names that are no texts",
        "protext_jax/classnames.py",
        "if odd := [",
        "if False and [",
        NAMES,
    ),
    Mutation(
        "groups within a class",
        "common/data/phrases.py",
        "if isinstance(phrases, Mapping):",
        "if False:",
        CORPORA,
    ),
    Mutation(
        "texts that are none",
        "common/data/phrases.py",
        "if odd := [x for x in phrases if not isinstance(x, str)]:",
        "if odd := []:",
        CORPORA,
    ),
    Mutation(
        "a table is parsed",
        "common/data/phrases.py",
        "if path.suffix.lower() in TABLES:",
        "if False:",
        CORPORA,
    ),
    Mutation(
        "braces of names are filled",
        "common/data/templates.py",
        "lambda x: words[x[0][1:-1]], pattern",
        "lambda x: words[x[0][1:-1]].format(**words), pattern",
        CORPORA,
    ),
    Mutation(
        "too long and empty are one",
        "protext_jax/corpus.py",
        "if not kept and not any(told.values()):",
        "if False:",
        CORPORA,
    ),
    Mutation(
        "a corpus has a class twice",
        "protext_jax/corpus.py",
        "if other != key and not same(other, key):",
        "if False:",
        CORPORA,
    ),
    Mutation(
        "descriptors of nothing",
        "protext_jax/baselines.py",
        "if found and not any(matches.keys for _, matches in found):",
        "if False:",
        CORPORA,
    ),
    Mutation(
        "plain templates called descriptors",
        "protext_jax/baselines.py",
        "if found.keys:",
        "if True:",
        CORPORA,
    ),
    Mutation(
        "aliases of keys that are not there",
        "aape_jax/corpus.py",
        "if keys.unmatched:",
        "if False:",
        CORPORA,
    ),
    Mutation(
        "held-out sentences of few",
        "protext_jax/texts.py",
        "POCKET_HELD_OUT if sentences >= PLENTY else 0",
        "POCKET_HELD_OUT",
        PROTEXT,
    ),
    Mutation(
        "half of one's own classes",
        "protext_jax/texts.py",
        '"base_to_novel" if pocket or config.dataset else "supervised"',
        '"base_to_novel"',
        PROTEXT,
    ),
    Mutation(
        "a target without pictures",
        "protext_jax/testsets.py",
        "if found := fault(dataset):",
        "if found := None:",
        PROTEXT,
    ),
    Mutation(
        "plain template across data sets",
        "protext_jax/testsets.py",
        'cross=config.protocol == "cross_dataset"',
        "cross=False",
        PROTEXT,
    ),
    Mutation(
        "underscores of data sets kept",
        "protext_jax/texts.py",
        'raw = config.source == "sentences" and config.faithful.underscores',
        "raw = config.faithful.underscores",
        PROTEXT,
    ),
    Mutation(
        "rounding stops at training",
        "protext_jax/files.py",
        '"half": learned.half}',
        '"half": False}',
        PROTEXT,
    ),
    Mutation(
        "CoOp without photos",
        "protext_jax/coop.py",
        "if config.coop_shots and not len(dataset.train):",
        "if False:",
        PROTEXT,
    ),
    Mutation(
        "names are looked at too late",
        "protext_jax/method.py",
        "*check_names(config.names, names),",
        "",
        PROTEXT,
    ),
    Mutation(
        "papers' shots of one's own photos",
        "aape_jax/recipes.py",
        "PAPERS_SHOTS if of_papers else 0",
        "PAPERS_SHOTS",
        AAPE,
    ),
    Mutation(
        "one class is learned",
        "aape_jax/opened.py",
        "if len(learned) < 2:",
        "if False:",
        AAPE,
    ),
    Mutation(
        "a target of nothing",
        "aape_jax/testsets.py",
        "if reason := fault(len(dataset.classnames), len(dataset.test)):",
        "if reason := None:",
        AAPE,
    ),
    Mutation(
        "test features of another width",
        "aape_jax/opened.py",
        "if len(split) and images != text_width(texts, clip):",
        "if False:",
        AAPE,
    ),
    Mutation(
        "fields of questions are looked at late",
        "aape_jax/tasks/captioning.py",
        "        check_vqa(config)\n",
        "",
        AAPE,
    ),
    Mutation(
        "counts below their least",
        "aape_jax/settings.py",
        "if value < smallest:",
        "if False:",
        AAPE,
    ),
    Mutation(
        "prompts without a fingerprint",
        "aape_jax/summary.py",
        'found = {"prompts": digest([names, config.classifier.template, texts])}',
        "found = {}",
        INPUTS,
    ),
    Mutation(
        "a start without a fingerprint",
        "aape_jax/tasks/retrieval.py",
        'prints["start"] = array_digest(self.started)',
        "pass",
        INPUTS,
    ),
    Mutation(
        "a visual map without a fingerprint",
        "aape_jax/tasks/captioning.py",
        "        if self.start:\n",
        "        if False:\n",
        INPUTS,
    ),
    Mutation(
        "descriptors without a fingerprint",
        "protext_jax/summary.py",
        "    if config.descriptors:\n",
        "    if False:\n",
        INPUTS,
    ),
    Mutation(
        "older checkpoints are refused",
        "common/training/checkpoints.py",
        "if theirs == ours or theirs is None:",
        "if theirs == ours:",
        INPUTS,
    ),
    Mutation(
        "evaluation's files are refused",
        "common/training/checkpoints.py",
        "if name.startswith(EVALUATION):",
        "if False:",
        INPUTS,
    ),
)

if __name__ == "__main__":
    main(MUTATIONS)
