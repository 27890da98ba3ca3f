"""How a model learns from the prepared data."""
