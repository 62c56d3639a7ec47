"""Maximum and average pooling over KxK windows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tenfold.numpy_engine.layer import Layer

__all__ = ["AveragePool", "MaxPool"]


class _Pool(Layer):
    """What both share: the K*K taps of a window, each as a view of the whole batch."""

    def taps(self, pictures: np.ndarray) -> Iterator[np.ndarray]:
        """For each place in the window, row by row: (N, OH, OW, C), that place of every window."""
        _, high, wide = self.plan.output_shape
        step = self.spec.stride
        for i in range(self.spec.kernel):
            for j in range(self.spec.kernel):
                yield pictures[:, i : i + step * high : step, j : j + step * wide : step]

    def output(self, inputs: np.ndarray) -> np.ndarray:
        channels, high, wide = self.plan.output_shape
        return self.buffers.take("outputs", (len(inputs), high, wide, channels))

    def blank(self, count: int) -> np.ndarray:
        """Where the inputs' gradient goes. Windows that tile the picture write every pixel once."""
        channels, height, width = self.plan.input_shape
        back = self.buffers.take("gradient", (count, height, width, channels))
        if not self.tiles:
            back.fill(0)
        return back

    @property
    def tiles(self) -> bool:
        """Whether the windows cover every pixel exactly once."""
        spec, (_, height, width) = self.spec, self.plan.input_shape
        return spec.stride == spec.kernel and not height % spec.kernel and not width % spec.kernel


class MaxPool(_Pool):
    """The largest of each window. Its gradient goes to the first largest, as in PyTorch."""

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:  # noqa: ARG002
        self.inputs, self.outputs = inputs, self.output(inputs)
        for index, tap in enumerate(self.taps(inputs)):
            if index == 0:
                np.copyto(self.outputs, tap)
            else:
                np.maximum(self.outputs, tap, out=self.outputs)
        return self.outputs

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray:  # noqa: ARG002
        back = self.blank(len(gradient))
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


class AveragePool(_Pool):
    """The mean of each window; its gradient is spread evenly."""

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:  # noqa: ARG002
        outputs = self.output(inputs)
        for index, tap in enumerate(self.taps(inputs)):
            if index == 0:
                np.copyto(outputs, tap)
            else:
                outputs += tap
        outputs *= 1 / self.spec.kernel**2
        return outputs

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray:  # noqa: ARG002
        back = self.blank(len(gradient))
        share = np.multiply(gradient, 1 / self.spec.kernel**2, out=self.buffers.take("share", gradient.shape))
        for target in self.taps(back):
            if self.tiles:
                np.copyto(target, share)
            else:
                target += share
        return back
