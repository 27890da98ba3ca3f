"""The program ``cherenkov-mlops``: one module a group of commands."""
