"""Pen strokes become pictures of handwriting, as people draw and photograph it."""
