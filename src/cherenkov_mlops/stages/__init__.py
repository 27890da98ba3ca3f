"""The stages of a run, each one function that reads from top to bottom."""
