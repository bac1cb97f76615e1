"""What lets a scheduler file or a step count through, and the test that notices.

python -m tests.hostile.mutations_samplers [NAME ...]
"""

from tests.mutations import Mutation, main

FILES = "hostile/test_scheduler_files.py"
SCHEDULE = "common/diffusion/schedule.py"
OPTIONS = "common/diffusion/scheduler_file.py"

MUTATIONS = (
    Mutation(
        "any number of timesteps",
        SCHEDULE,
        'record.integer("num_train_timesteps", 1, MOST_TIMESTEPS, default=1000)',
        'record.integer("num_train_timesteps", -(10**12), 10**12, default=1000)',
        FILES,
    ),
    Mutation(
        "betas beyond 1",
        SCHEDULE,
        'record.number("beta_end", 0, 1, default=end)',
        'record.number("beta_end", default=end)',
        FILES,
    ),
    Mutation(
        "betas of another length",
        SCHEDULE,
        'record.numbers("trained_betas", steps, 0, 1, default=None)',
        'record.numbers("trained_betas", None, 0, 1, default=None)',
        FILES,
    ),
    Mutation(
        "files of any size",
        SCHEDULE,
        "read_json(path, _REMEDY, MOST_BYTES, constants=True)",
        "read_json(path, _REMEDY, constants=True)",
        FILES,
    ),
    Mutation(
        "minus infinity refused",
        SCHEDULE,
        "read_json(path, _REMEDY, MOST_BYTES, constants=True)",
        "read_json(path, _REMEDY, MOST_BYTES)",
        FILES,
    ),
    Mutation(
        "betas of the file ignored",
        SCHEDULE,
        "if self.trained_betas is not None:",
        "if False:",
        "diffusion/test_schedule.py",
    ),
    Mutation(
        "betas of a class without any",
        "common/diffusion/betas.py",
        "    if usual:\n        return usual",
        "    if True:\n        return usual or _USUAL",
        "diffusion/test_schedule.py",
    ),
    Mutation(
        "zero terminal SNR ignored",
        SCHEDULE,
        "        if self.rescale_betas_zero_snr:\n            root",
        "        if False:\n            root",
        "diffusion/test_schedule.py",
    ),
    Mutation(
        "sampler fields in fingerprints",
        SCHEDULE,
        "names = [*_FIRST, *(name for name in _LATER if getattr(self, name))]",
        "names = list(self.__dataclass_fields__)",
        "diffusion/test_schedule.py",
    ),
    Mutation(
        "any scheduler class",
        OPTIONS,
        "if not isinstance(scheduler, str) or scheduler not in KNOWN:",
        "if False:",
        FILES,
    ),
    Mutation(
        "any value of a field",
        OPTIONS,
        "if not field.accepts(options[name]):",
        "if False:",
        FILES,
    ),
    Mutation("two kinds of sigmas", OPTIONS, "if len(chosen) > 1:", "if False:", FILES),
    Mutation(
        "fields of no class passed over",
        OPTIONS,
        "if asks and (not fields or (from_file and name in _TELLING)):",
        "if asks and from_file and name in _TELLING:",
        FILES,
    ),
    Mutation(
        "telling fields of other classes passed over",
        OPTIONS,
        "if asks and (not fields or (from_file and name in _TELLING)):",
        "if asks and not fields:",
        FILES,
    ),
    Mutation(
        "noise-free end of DPM-Solver",
        "common/diffusion/multistep.py",
        'if plain and options["final_sigmas_type"] == "zero":',
        "if False:",
        FILES,
    ),
    Mutation(
        "order 3 of the noisy DPM-Solver",
        "common/diffusion/multistep.py",
        'if algorithm == "sde-dpmsolver" and order == 3:',
        "if False:",
        FILES,
    ),
    Mutation(
        "steps beyond the timesteps",
        "common/diffusion/spacing.py",
        "if not 1 <= steps <= total:",
        "if False:",
        FILES,
    ),
    Mutation(
        "times before the first",
        "common/diffusion/spacing.py",
        "    if times[-1] < 0:",
        "    if False:",
        FILES,
    ),
    Mutation(
        "coefficients that are not finite",
        "common/diffusion/samplers.py",
        'if not defined or (schedule.prediction_type == "epsilon" and not plan.alpha.all()):',
        "if False:",
        FILES,
    ),
)

if __name__ == "__main__":
    main(MUTATIONS)
