"""The table that `evaluate` prints, as its rows."""


def rows_of(task, config, workdir, data=None):
    """The metrics by row, the run's own first."""
    found = task.measure(config, workdir, data)
    return {task.name: dict(found.metrics), **found.baselines}
