"""Maximum and average pooling over KxL windows."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from tenfold.numpy_engine.layer import Layer

__all__ = ["AveragePool", "MaxPool"]


class _Pool(Layer):
    """What both share: the K*L taps of a window, each as a view of the whole batch."""

    def taps(self, pictures: np.ndarray) -> Iterator[np.ndarray]:
        """For each place in the window, row by row: (N, OH, OW, C), that place of every window."""
        high, wide = self.places(pictures.shape)
        down, along = self.spec.stride
        for i in range(self.spec.kernel[0]):
            for j in range(self.spec.kernel[1]):
                yield pictures[:, i : i + down * high : down, j : j + along * wide : along]

    def output(self, inputs: np.ndarray) -> np.ndarray:
        self.shape = inputs.shape
        return self.buffers.take("outputs", (len(inputs), *self.places(inputs.shape), inputs.shape[3]))

    def blank(self) -> np.ndarray:
        """Where the inputs' gradient goes. Windows that tile the picture write every pixel once."""
        back = self.buffers.take("gradient", self.shape)
        if not self.tiles:
            back.fill(0)
        return back

    @property
    def tiles(self) -> bool:
        """Whether the windows cover every pixel exactly once."""
        spec, (_, height, width, _) = self.spec, self.shape
        return spec.stride == spec.kernel and not height % spec.kernel[0] and not width % spec.kernel[1]


class MaxPool(_Pool):
    """The largest of each window. Its gradient goes to the first largest, as in PyTorch."""

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:
        self.inputs, self.outputs = inputs, self.output(inputs)
        if self.tiles and not training:
            return self._by_axes(inputs)
        for index, tap in enumerate(self.taps(inputs)):
            if index == 0:
                np.copyto(self.outputs, tap)
            else:
                np.maximum(self.outputs, tap, out=self.outputs)
        return self.outputs

    def _by_axes(self, inputs: np.ndarray) -> np.ndarray:
        """Windows that tile the picture: first the largest of each column, whole lines at a time."""
        count, high, wide, channels = self.outputs.shape
        rows, columns = self.spec.kernel
        lines = inputs.reshape(count * high, rows, -1).transpose(1, 0, 2)
        if columns == 1:
            _largest(lines, self.outputs.reshape(lines.shape[1:]))
            return self.outputs
        largest = _largest(lines, self.buffers.take("lines", lines.shape[1:]))
        _largest(np.moveaxis(largest.reshape(count, high, wide, columns, channels), 3, 0), self.outputs)
        return self.outputs

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray:  # noqa: ARG002
        back = self.blank()
        chosen = self.buffers.take("chosen", gradient.shape, bool)
        still_free = self.buffers.take("free", gradient.shape, bool)
        still_free.fill(True)
        for tap, target in zip(self.taps(self.inputs), self.taps(back), strict=True):
            np.equal(tap, self.outputs, out=chosen)
            chosen &= still_free
            still_free ^= chosen
            if self.tiles:
                np.multiply(gradient, chosen, out=target)
            else:
                target += gradient * chosen
        return back


def _largest(taps: np.ndarray, out: np.ndarray) -> np.ndarray:
    """(L, ...) -> (...)."""
    np.maximum(taps[0], taps[min(1, len(taps) - 1)], out=out)
    for tap in taps[2:]:
        np.maximum(out, tap, out=out)
    return out


class AveragePool(_Pool):
    """The mean of each window; its gradient is spread evenly."""

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:  # noqa: ARG002
        outputs = self.output(inputs)
        for index, tap in enumerate(self.taps(inputs)):
            if index == 0:
                np.copyto(outputs, tap)
            else:
                outputs += tap
        outputs *= 1 / prod(self.spec.kernel)
        return outputs

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray:  # noqa: ARG002
        back = self.blank()
        share = np.multiply(
            gradient, 1 / prod(self.spec.kernel), out=self.buffers.take("share", gradient.shape)
        )
        for target in self.taps(back):
            if self.tiles:
                np.copyto(target, share)
            else:
                target += share
        return back
