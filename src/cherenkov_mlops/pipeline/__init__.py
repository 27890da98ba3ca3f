"""What is common to the stages of a run: their table, when they run, what is recorded."""
