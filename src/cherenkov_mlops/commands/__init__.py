"""What is done around runs: one module a command."""
