"""The engine in PyTorch, and the only room that names torch."""
