"""Train, test and compare deep-learning models on Cherenkov-telescope images."""

__version__ = "0.1.0"
