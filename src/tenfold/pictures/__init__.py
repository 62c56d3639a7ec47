"""Any picture becomes the image that a network expects."""
