"""Pixel-unshuffle: pictures get smaller and deeper, and lose nothing (Shi et al. 2016, reversed)."""

from __future__ import annotations

import numpy as np

from tenfold.numpy_engine.layer import Layer

__all__ = ["PixelUnshuffle"]


class PixelUnshuffle(Layer):
    """(N, H, W, C) -> (N, H/K, W/K, C K K): pixel (i, j) of a KxK block of channel c goes to
    channel c K K + i K + j, as in torch.nn.PixelUnshuffle."""

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:  # noqa: ARG002
        count, height, width, channels = inputs.shape
        k, _ = self.spec.kernel
        blocks = inputs.reshape(count, height // k, k, width // k, k, channels)
        outputs = self.buffers.take("outputs", (count, height // k, width // k, channels, k, k))
        for i in range(k):  # NumPy copies runs of k pixels more slowly than planes of single ones
            for j in range(k):
                outputs[..., i, j] = blocks[:, :, i, :, j]
        return outputs.reshape(count, height // k, width // k, -1)

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray:  # noqa: ARG002
        count, height, width, deep = gradient.shape
        k, _ = self.spec.kernel
        back = self.buffers.take("gradient", (count, height, k, width, k, deep // (k * k)))
        np.copyto(back, gradient.reshape(count, height, width, -1, k, k).transpose(0, 1, 4, 2, 5, 3))
        return back.reshape(count, height * k, width * k, -1)
