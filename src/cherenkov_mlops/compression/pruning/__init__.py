"""Magnitude pruning during the training: which weights are held at zero, from when on."""
