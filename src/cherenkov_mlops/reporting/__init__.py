"""Pages made from the results of runs; needs nothing but their ``metrics.json``."""
