"""Fast semi-analytic air showers seen by Cherenkov telescopes, written as DL1 files.

For demonstration, tests and teaching: not a replacement for CORSIKA and sim_telarray.
"""
