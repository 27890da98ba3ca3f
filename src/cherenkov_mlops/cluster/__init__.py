"""SLURM: what its commands say, what is asked of it, and what it would refuse too late."""
