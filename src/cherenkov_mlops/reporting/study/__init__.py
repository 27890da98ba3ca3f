"""Pages about studies: what a choice costs, over many runs."""
