"""What makes the NumPy engine fast: memory, threads, matrix products, large batches, quick answers."""
