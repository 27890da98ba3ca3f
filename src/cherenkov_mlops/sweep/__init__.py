"""Many runs of one file: which, how they run, and what is chosen next."""
