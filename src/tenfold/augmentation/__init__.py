"""Random changes of training images: drawn here once for both engines, applied by each of them."""
