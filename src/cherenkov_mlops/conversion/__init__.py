"""From simulation files to data sets: converting, merging and slimming."""
