"""Smaller and faster forms of a trained model, and what they cost."""
