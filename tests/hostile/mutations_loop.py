"""What breaks the checks of configs, work folders and foreign runs, and the test that notices.

python -m tests.hostile.mutations_loop [NAME ...]
"""

from tests.mutations import Mutation, main

STRINGS = "hostile/test_config_strings.py"
FOLDERS = "hostile/test_work_folders.py"
FOREIGN = "hostile/test_foreign_runs.py"
EARLIER = "test_old_fields.py"

MUTATIONS = (
    Mutation(
        "a run's folder says where features are kept",
        "common/config.py",
        "found |= {name: ours[name] for name in PLACES if name in ours}",
        "found |= {}",
        FOREIGN,
    ),
    Mutation(
        "types of a run's fields unchecked",
        "common/config.py",
        'filled_up(typed(written, ours, f"{path}: "), ours)',
        "filled_up(written, ours)",
        FOREIGN,
    ),
    Mutation(
        "texts of any length",
        "common/values.py",
        "if len(text) > LONGEST:",
        "if False:",
        STRINGS,
    ),
    Mutation(
        "control characters taken",
        "common/values.py",
        'unicodedata.category(letter) in ("Cc", "Cs")',
        "False",
        STRINGS,
    ),
    Mutation(
        "a number too large becomes infinite",
        "common/values.py",
        "if math.isinf(value) and any(letter.isdigit() for letter in text):",
        "if False:",
        STRINGS,
    ),
    Mutation(
        "whole numbers without a bound",
        "common/values.py",
        "    if abs(value) > LARGEST:\n",
        "    if False:\n",
        STRINGS,
    ),
    Mutation(
        "bounds of numbers unchecked",
        "common/checks.py",
        "value <= self.high and",
        "",
        STRINGS,
    ),
    Mutation(
        "a comma belongs to the first of two settings",
        "common/settings.py",
        "        texts.pop(written, None)",
        "        pass",
        STRINGS,
    ),
    Mutation(
        "an unclosed bracket swallows settings",
        "common/settings.py",
        'if expected and "," in parts[-1]:',
        "if False:",
        STRINGS,
    ),
    Mutation(
        "our configs found in the checkout alone",
        "common/config_file.py",
        "if (candidate := folder / path.name).is_file():",
        "if candidate := None:",
        STRINGS,
    ),
    Mutation(
        "overrides by earlier names unread",
        "common/config_file.py",
        "if not special or not (place := _place_of_config(argv)):",
        "if True:",
        EARLIER,
    ),
    Mutation(
        "an override of a recipe sets no other field",
        "common/config_file.py",
        'moved[i] = f"{name}={text}"',
        "pass",
        EARLIER,
    ),
    Mutation(
        "a recipe's source read as its name",
        "common/old_spellings.py",
        'if moved := OLD_SETTINGS.get(package, {}).get(f"{name}={value}"):',
        "if moved := None:",
        EARLIER,
    ),
    Mutation(
        "the group of an earlier field loses its others",
        "common/old_spellings.py",
        "today[group] = {**others, last: value}",
        "today[group] = {last: value}",
        EARLIER,
    ),
    Mutation(
        "links are followed",
        "common/paths.py",
        "    if stat.S_ISLNK(mode):\n",
        "    if False:\n",
        FOLDERS,
    ),
    Mutation(
        "pipes are opened",
        "common/paths.py",
        "if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):",
        "if False:",
        FOLDERS,
    ),
    Mutation(
        "metrics grow in a shared file",
        "common/training/growing.py",
        "if path.stat().st_nlink > 1:",
        "if False:",
        FOLDERS,
    ),
    Mutation(
        "two runs in one folder",
        "common/training/lock.py",
        "fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "fcntl.flock(handle, fcntl.LOCK_UN)",
        FOLDERS,
    ),
    Mutation(
        "two runs in one folder of a bucket",
        "common/training/lock.py",
        "            if now != seen:\n",
        "            if False:\n",
        FOLDERS,
    ),
    Mutation(
        "another program's config is overwritten",
        "common/training/workdir.py",
        "    if lacking := [name for name in ESSENTIAL if name not in fields]:\n",
        "    if lacking := []:\n",
        FOLDERS,
    ),
    Mutation(
        "a config is kept though nothing was saved",
        "common/training/workdir.py",
        "if has_update(workdir):",
        "if True:",
        FOLDERS,
    ),
    Mutation(
        "evaluation fields may not change",
        "common/training/workdir.py",
        "if is_among(name, (*HARMLESS, *evaluation_fields))",
        "if is_among(name, HARMLESS)",
        FOLDERS,
    ),
    Mutation(
        "a finished run is not evaluated again",
        "common/training/loop.py",
        "if finished is not None and not changed:",
        "if finished is not None:",
        "training/test_loop.py",
    ),
    Mutation(
        "numbers that are not finite go untold",
        "common/training/results.py",
        "    if odd:\n",
        "    if False:\n",
        FOLDERS,
    ),
    Mutation(
        "a seed's upper half is lost",
        "common/seeds.py",
        "np.array(divmod(seed, 2**32), np.uint32)",
        "np.array((0, seed % 2**32), np.uint32)",
        "hostile/test_sampling_settings.py",
    ),
    Mutation(
        "Ctrl-C unanswered while a library works",
        "common/errors.py",
        "    with answering_interrupts():\n",
        "    if True:\n",
        "test_errors.py",
    ),
)

if __name__ == "__main__":
    main(MUTATIONS)
