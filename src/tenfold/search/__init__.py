"""Hyper-parameter search: the numbers of a recipe, found by trying, on validation images alone."""
