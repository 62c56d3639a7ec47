"""The reader that comes with the package: handwritten digits from any picture."""
