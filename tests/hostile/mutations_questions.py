"""Breaks what asks about photos and classes: `classify`, tables of predictions, splits, questions.

python -m tests.hostile.mutations_questions [NAME ...]
"""

from tests.mutations import Mutation, main

CLASSIFY = "commands/test_classify.py"
PREDICTIONS = "evaluation/test_predictions.py"
SPLITTING = "data/test_splitting.py"
DESCRIBING = "protocols/test_describing.py"

MUTATIONS = (
    Mutation(
        "the runner-up is the least likely class",
        "common/commands/classify.py",
        "second = others[0] if others else None",
        "second = others[-1] if others else None",
        CLASSIFY,
    ),
    Mutation(
        "names of one's own are not read",
        "common/commands/classify.py",
        "return learned.classify(photos) if names is None else learned.classify(photos, names)",
        "return learned.classify(photos)",
        CLASSIFY,
    ),
    Mutation(
        "precision is recall",
        "common/evaluation/predictions.py",
        '"precision": _share(found, taken),',
        '"precision": _share(found, photos),',
        PREDICTIONS,
    ),
    Mutation(
        "an old list of mistakes stays",
        "common/training/outputs.py",
        "file.unlink(missing_ok=True)  # of an evaluation before",
        "pass",
        PREDICTIONS,
    ),
    Mutation(
        "mirrors are no duplicates",
        "common/data/near_duplicates.py",
        "for other in (plain, mirrored):",
        "for other in (plain,):",
        "data/test_near_duplicates.py",
    ),
    Mutation(
        "duplicates may be torn apart",
        "common/split.py",
        "parts = stratified_parts(labels, groups, shares, options.seed)",
        "parts = stratified_parts(labels, np.arange(len(labels)), shares, options.seed + 3)",
        SPLITTING,
    ),
    Mutation(
        "large groups come last",
        "common/data/splitting.py",
        "sorted(rows_of.values(), key=len, reverse=True)",
        "sorted(rows_of.values(), key=len)",
        SPLITTING,
    ),
    Mutation(
        "a class without answers is left out",
        "common/protocols/describing.py",
        "    if bare:\n",
        "    if False:\n",
        DESCRIBING,
    ),
    Mutation(
        "answers for classes of the same number",
        "common/protocols/describing.py",
        "{text_digest(f'{name} {text}')}",
        "{list(classnames).index(name)}-{len(text)}",
        DESCRIBING,
    ),
    Mutation(
        "what has an answer is asked again",
        "common/describe.py",
        "missing = [question for question in questions if question.custom_id not in answers]",
        "missing = questions",
        DESCRIBING,
    ),
    Mutation(
        "the classifier of another precision is exported",
        "common/clip/class_file.py",
        "write_tensors(path, {KEY: features}, told)",
        "write_tensors(path, {KEY: features.round(2)}, told)",
        "protext/test_commands.py",
    ),
)

if __name__ == "__main__":
    main(MUTATIONS)
