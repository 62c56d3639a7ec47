"""The engine in NumPy: every gradient by hand, beside its forward."""
