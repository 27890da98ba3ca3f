"""What turns what is seen of an event into predictions."""
