"""Sections that the schema knows and this version does not act on."""

from cherenkov_mlops.config.schema import RunConfig


def find_unavailable(config: RunConfig) -> list[str]:
    """One line for each section that would have no effect."""
    if config.pruning is None:
        return []
    return [
        f"{config.locate('pruning')}: pruning: not available in this version; "
        "remove the section, or write pruning: null"
    ]
