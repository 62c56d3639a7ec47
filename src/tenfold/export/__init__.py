"""Weights as files that other programs read."""
