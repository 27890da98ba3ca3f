"""Training for 8-bit numbers, and exports of fewer bits."""
