"""Configuration: one YAML file a run, typed, described and checked as a whole."""
