"""Time and memory of networks, each measured in a process of its own."""
