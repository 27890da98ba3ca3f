"""A package of a stranger: a task, a model and a stage of its own, each in one file."""
