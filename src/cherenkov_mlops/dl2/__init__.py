"""Predictions in ctapipe's DL2 format: written and read."""
