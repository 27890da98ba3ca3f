"""What trained models say about the events of files."""
