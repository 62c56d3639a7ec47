"""The sections of a recipe that engines, schedules and augmentation take: frozen, units named.

Every class refuses unknown keys. `tenfold.recipes` puts them together to a whole recipe.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tenfold.errors import RecipeError

__all__ = [
    "AugmentationSettings",
    "InputSettings",
    "LossSettings",
    "OptimiserSettings",
    "ScheduleSettings",
    "Section",
    "Share",
]

Share = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """A frozen table of a recipe; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, str_strip_whitespace=True)


class InputSettings(Section):
    """How uint8 pixels become the network's input: (pixel / 255 - mean) / std.

    scaling: unit is 0..1; with none pixels stay 0..255; standardise takes mean and std of the training
    images; fixed takes those given here. mean, std: in units of 0..1, for fixed.
    size: (height, width) in pixels that pictures are brought to; without it they keep theirs.
    fit: pictures of another shape keep their aspect; pad shows all of them on a ground of their border's
    colour, crop cuts out the middle.
    """

    scaling: Literal["unit", "none", "standardise", "fixed"] = "unit"
    mean: float = 0.5
    std: Positive = 0.5
    size: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None = None
    fit: Literal["pad", "crop"] = "pad"


class LossSettings(Section):
    """Loss function.

    name: cross-entropy is softmax, then -log p, averaged (or summed) over the batch. Sigmoid-distance
    (from the sigmoid loss tutorial) is the mean over images and outputs of 1 - p where the target is 1,
    else p, with p = sigmoid(logit). Mean-squared-error is the mean over images and outputs of
    (logit - target)^2. Ctc, of networks that end with columns, is -log of the probability of the label
    sequence, summed over all its alignments (Graves et al. 2006); the last class is the blank.
    label_smoothing: the share of each target that is spread evenly over all classes.
    probability_floor: cross-entropy reports -log of p clipped to [floor, 1 - floor] (as in the softmax
    regression tutorial); the gradient stays that of the unclipped loss.
    label_shift: the class c is put into column (c + shift) mod K (-1 in the softmax regression
    tutorial); logits are shifted back, so that it is invisible outside the engine.
    class_weights: what each image of a class counts for in training, one number per class; or balanced,
    which is N / (K n) for a class with n of the N images of K classes, as in scikit-learn. The mean is that
    over the images; validation counts all images alike.
    reduction: what the gradient does over the batch; the loss reported is always the mean.
    """

    name: Literal["cross-entropy", "sigmoid-distance", "mean-squared-error", "ctc"] = "cross-entropy"
    label_smoothing: Share = 0.0
    class_weights: Literal["balanced"] | tuple[NotNegative, ...] = ()
    reduction: Literal["mean", "sum"] = "mean"
    probability_floor: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    label_shift: int = 0

    @model_validator(mode="after")
    def _refuse_with_ctc(self) -> Self:
        for key in ("label_smoothing", "label_shift", "probability_floor", "class_weights"):
            if self.name == "ctc" and getattr(self, key):
                raise ValueError(f"{key} is not available with name = 'ctc'; leave it out")
        return self

    def weights_of(self, counts: np.ndarray) -> np.ndarray | None:
        """float (K,), what an image of each class counts for; None: all alike. counts: int (K,), the training
        images of each class; one without any has weight 0. Raises RecipeError."""
        if self.class_weights == "balanced":
            filled = max(int((counts > 0).sum()), 1)
            return np.where(counts > 0, counts.sum() / (filled * np.maximum(counts, 1)), 0.0)
        if self.class_weights and len(self.class_weights) != len(counts):
            found = f"loss.class_weights has {len(self.class_weights)} numbers"
            raise RecipeError(found, expected=f"one for each of the {len(counts)} classes, or 'balanced'")
        return np.array(self.class_weights) if self.class_weights else None


class ParameterGroup(Section):
    """Parameters that learn at a rate of their own.

    match: a part of their names. factor: of the learning rate; 0 freezes them.
    """

    match: str
    factor: NotNegative


class OptimiserSettings(Section):
    """How the weights move along their gradients, as in PyTorch.

    name: sgd, adam, adamw or muon. Muon (Jordan 2024) makes the steps of the weights of all layers but the
    last orthogonal, as long as those of adamw (Liu et al. 2025), which moves the other parameters.
    learning_rate: its largest value; the schedule multiplies it.
    momentum, nesterov: of sgd. betas, epsilon: of adam, adamw and muon, whose momentum is the first
    beta, Nesterov's way. groups: parameters that learn at
    another rate; the first group that matches a parameter counts. weight_decay: L2 added to the gradient
    (sgd, adam) or decoupled (adamw, muon); only for weights of linear and convolution layers.
    decay_all: for all parameters.
    clip_norm: gradients are scaled down to this global Euclidean norm; 0 is off.
    """

    name: Literal["sgd", "adam", "adamw", "muon"] = "sgd"
    learning_rate: Positive = 0.1
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    nesterov: bool = False
    betas: tuple[Share, Share] = (0.9, 0.999)
    epsilon: Positive = 1e-8
    weight_decay: NotNegative = 0.0
    decay_all: bool = False
    clip_norm: NotNegative = 0.0
    groups: tuple[ParameterGroup, ...] = ()

    def factor_of(self, name: str) -> float:
        """The factor on the learning rate of the parameter called `name`."""
        return next((group.factor for group in self.groups if group.match in name), 1.0)

    def decay_of(self, role: str) -> float:
        """Weight decay of a parameter of this role, 0 where it does not act on it."""
        return self.weight_decay if self.decay_all or role == "weight" else 0.0


class ScheduleSettings(Section):
    """What the learning rate is multiplied by, from the first step (0) to the last.

    name: constant; cosine and linear fall to final_factor; step multiplies by gamma at each milestone;
    one-cycle rises from start_factor to 1 over `rise`, then falls to final_factor (cosine).
    warm_up: share of all steps over which the factor first grows linearly from 0 (not one-cycle).
    final_factor: at the last step. milestones: shares of all steps when below 1, step numbers from 1 on.
    gamma: of step. rise: of one-cycle, a share of all steps. start_factor: of one-cycle, at step 0.
    """

    name: Literal["constant", "cosine", "linear", "step", "one-cycle"] = "constant"
    warm_up: Share = 0.0
    final_factor: NotNegative = 0.0
    milestones: tuple[NotNegative, ...] = ()
    gamma: Positive = 0.1
    rise: Annotated[float, Field(gt=0, lt=1)] = 0.3
    start_factor: NotNegative = 0.04

    def learning_rate_at(self, step: int, total_steps: int, learning_rate: float) -> float:
        """The learning rate of step 0..total_steps-1."""
        return learning_rate * self.factor_at(step, total_steps)

    def factor_at(self, step: int, total_steps: int) -> float:
        """What the learning rate is multiplied by at a step; 1 at the peak."""
        if self.name == "one-cycle":
            return self._one_cycle(step, total_steps)
        warm_steps = round(self.warm_up * total_steps)
        if step < warm_steps:
            return (step + 1) / warm_steps
        done = (step - warm_steps) / max(total_steps - warm_steps - 1, 1)
        low = self.final_factor
        if self.name == "cosine":
            return _cosine(1.0, low, done)
        if self.name == "linear":
            return 1.0 + (low - 1.0) * done
        if self.name == "step":
            marks = [mark if mark >= 1 else mark * total_steps for mark in self.milestones]
            return self.gamma ** sum(step >= mark for mark in marks)
        return 1.0

    def _one_cycle(self, step: int, total_steps: int) -> float:
        """Smith & Topin 2017, in PyTorch's two-phase cosine form (OneCycleLR)."""
        peak = self.rise * total_steps - 1
        if step <= peak:
            return _cosine(self.start_factor, 1.0, step / peak if peak > 0 else 1.0)
        done = (step - peak) / max(total_steps - 1 - peak, 1e-9)
        return _cosine(1.0, self.final_factor, done)


class AugmentationSettings(Section):
    """Random changes of each training image, drawn anew every epoch; 0 is off.

    rotation, shear: degrees, uniform in +-value. shift: pixels, uniform in +-value each way.
    scale: uniform in 1 +- value, each way alike. crop_padding: pixels of black around, then a
    random crop of the old size. elastic: displacement in pixels (standard deviation), smoothed
    over elastic_smoothness pixels (Simard et al. 2003). elastic_smoothness: in pixels, standard deviation
    of the Gaussian. stroke_width: pixels by which strokes grow
    or shrink, uniform in +-value. erasing: probability of blacking out a random rectangle, whose
    sides are uniform between 1/8 and 1/3 of the image's. untouched: share of the images that stay as
    they are: resampling smooths, and a network that has never seen a crisp image does worse on it.
    flip: probability of the mirror image, left to right. brightness, contrast, saturation: factors, uniform
    in 1 +- value; contrast is the distance from middle grey, saturation that from the pixel's own grey.
    hue: degrees by which colours turn, uniform in +-value. Both leave grey images as they are.
    """

    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    shear: Annotated[float, Field(ge=0, le=60)] = 0.0
    shift: NotNegative = 0.0
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.0
    crop_padding: Annotated[int, Field(ge=0)] = 0
    elastic: NotNegative = 0.0
    elastic_smoothness: Positive = 4.0
    stroke_width: Annotated[float, Field(ge=0, le=2)] = 0.0
    erasing: Share = 0.0
    untouched: Share = 0.0
    flip: Share = 0.0
    brightness: Share = 0.0
    contrast: Share = 0.0
    saturation: Share = 0.0
    hue: Annotated[float, Field(ge=0, le=180)] = 0.0

    @property
    def active(self) -> bool:
        """Whether anything is changed at all."""
        return any(value > 0 for name, value in self if name not in ("elastic_smoothness", "untouched"))


def _cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(max(done, 0.0), 1.0))) / 2
