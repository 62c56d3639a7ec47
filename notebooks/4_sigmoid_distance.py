# %% [markdown]
# # 4. A loss that stalls
#
# A fourth text builds everything from bare tensors, on MNIST as an image folder, with a
# loss of its own: the distance of a sigmoid from its target. It trains for 30 epochs and reads a third
# of the digits. Nothing in its code is wrong. So why does it not learn? This lesson finds out with a
# few numbers, and fixes it.

# %%
import tempfile
from pathlib import Path

import lesson
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

import tenfold

lesson.style()
SOURCE = "sample"  # or "mnist"
train_set = tenfold.load_dataset(SOURCE)
test_set = tenfold.load_dataset(SOURCE, split="test")

# %% [markdown]
# ## An image folder
#
# `training/0..9/*.png`: one folder per class. We write a few images that way, and read them back.

# %%
with tempfile.TemporaryDirectory() as folder:
    for digit in range(10):
        place = Path(folder, "training", str(digit))
        place.mkdir(parents=True)
        for k in np.flatnonzero(train_set.labels == digit)[:12]:
            Image.fromarray(train_set.images[k]).save(place / f"{k:05d}.png")
    read = tenfold.load_dataset(folder, split="all")
print(read.images.shape, read.class_names)
chosen = [k for digit in range(10) for k in np.flatnonzero(train_set.labels == digit)[:12]]
assert np.array_equal(read.images, train_set.images[chosen])

# %% [markdown]
# The mean image of each class: a sanity check of labels and pictures in one look.

# %%
means = [train_set.images[train_set.labels == digit].mean(axis=0) for digit in range(10)]
lesson.show_images(means, train_set.class_names)

# %% [markdown]
# Stack, divide by 255, flatten; and the targets as rows with a single 1.

# %%
x = train_set.images.reshape(-1, 784) / 255
y = np.eye(10)[train_set.labels]
print(x.shape, y.shape)
assert x.max() == 1
assert (y.sum(axis=1) == 1).all()

# %% [markdown]
# ## The loss, and its gradient
#
# Each score $z$ becomes $s = \sigma(z) = 1/(1 + e^{-z})$. The loss is the mean over all images and all
# ten outputs of how far $s$ is from its target: $1 - s$ where that is 1, $s$ where it is 0.
#
# $$L = \frac{1}{10 N} \sum_{n,k} d_{nk}, \qquad d = \begin{cases} 1 - s & y = 1 \\ s & y = 0 \end{cases}$$
#
# The derivative of a sigmoid is
# $s' = e^{-z} / (1 + e^{-z})^2 = s\,(1 - s)$, so
#
# $$\frac{\partial L}{\partial z} = \frac{\pm\, s (1 - s)}{10 N}, \qquad \text{minus where } y = 1 .$$


# %%
def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def distance(z, y):
    s = sigmoid(z)
    return np.mean(np.where(y == 1, 1 - s, s))


def gradient(z, y):
    s = sigmoid(z)
    return np.where(y == 1, -1, 1) * s * (1 - s) / z.size


# %%
from tenfold.numpy_engine.losses import SigmoidDistance
from tenfold.settings import LossSettings

z, target = np.random.default_rng(0).normal(0, 2, (6, 10)), np.eye(10)[[3, 1, 4, 1, 5, 9]]
measured = lesson.differences(lambda: distance(z, target), z, range(60)).reshape(6, 10)
value, ours = SigmoidDistance(LossSettings(name="sigmoid-distance"))(z, target.argmax(axis=1))
assert np.allclose(measured, gradient(z, target), atol=1e-10)
assert np.allclose(ours, gradient(z, target), atol=1e-15)
assert np.isclose(value, distance(z, target))

# %% [markdown]
# The derivative is greatest, 1/4, at $z = 0$, and fades on both sides like $e^{-|z|}$. Put beside it what
# cross-entropy with softmax has for the right digit, $p - 1$: a digit that is badly wrong gets a gradient
# near -1 there, and nearly none here.

# %%
line = np.linspace(-12, 12, 200)
others = 9  # nine more scores, all 0
plt.plot(line, -sigmoid(line) * (1 - sigmoid(line)), color=lesson.BAD, label="sigmoid's distance")
plt.plot(line, np.exp(line) / (np.exp(line) + others) - 1, color=lesson.GOOD, label="cross-entropy")
plt.xlabel("score of the right digit (the others are 0)")
plt.ylabel("gradient of the loss")
plt.legend()
lesson.finish()
for score in (0, -5, -10, -20):
    s, p = sigmoid(score), np.exp(score) / (np.exp(score) + others)
    print(f"score {score:4d}: sigmoid's distance {-s * (1 - s):.1e}, cross-entropy {p - 1:.3f}")

# %% [markdown]
# ## Reason 1: the start saturates
#
# All weights come from N(0, 1). A hidden unit sums over the ink of an image, some hundred pixels, so it
# has a size around 10; a score sums over 500 such units. How large are the scores, and what is left of
# the derivative?

# %%
rng = np.random.default_rng(1)
W1, b1 = rng.normal(size=(500, 784)), rng.normal(size=500)
W2, b2 = rng.normal(size=(10, 500)), rng.normal(size=10)
some, wanted = x[::5], y[::5]
hidden = np.maximum(0, some @ W1.T + b1)
z = hidden @ W2.T + b2
s = sigmoid(np.clip(z, -700, 700))
print(f"hidden units {hidden.std():.1f}, scores {z.std():.0f} (standard deviation)")
print(f"the derivative s(1 - s) is below a twentieth of 1/4 for {np.mean(s * (1 - s) < 0.25 / 20):.1%}")
print(f"median derivative {np.median(s * (1 - s)):.0e}")
assert np.mean(s * (1 - s) < 0.25 / 20) > 0.9

# %% [markdown]
# The size can be predicted. A sum of independent terms has the sum of their variances. With weights of
# variance 1, a hidden unit before its ReLU has the variance $\sum_i x_i^2 + 1$; ReLU keeps half of the
# mean square; a score sums 500 of those.

# %%
before = np.mean(np.sum(some**2, axis=1) + 1)
predicted = np.sqrt(500 * before / 2 + 1)
print(f"predicted size of a score {predicted:.0f}, measured {np.sqrt(np.mean(z**2)):.0f}")
assert 0.6 < np.sqrt(np.mean(z**2)) / predicted < 1.6

# %% [markdown]
# With weights drawn from N(0, 2 / inputs) instead (He et al. 2015), scores have a size near 1 and the
# sigmoids are in their steep middle.

# %%
gentle = np.maximum(0, some @ (W1 * np.sqrt(2 / 784)).T) @ (W2 * np.sqrt(2 / 500)).T
s = sigmoid(gentle)
print(f"scores {gentle.std():.2f}; s(1 - s) below a twentieth of 1/4: {np.mean(s * (1 - s) < 0.25 / 20):.1%}")
assert np.mean(s * (1 - s) < 0.25 / 20) < 0.01

# %% [markdown]
# ## Reason 2: the loss rewards saying nothing
#
# Nine of ten targets are 0. Who says "nothing is any digit" for every image, whatever it shows, is
# right in nine of ten outputs. The document's first losses are published as .5195 and .5191.

# %%
start, silent = distance(np.clip(z, -700, 700), wanted), distance(np.full_like(z, -30.0), wanted)
print(f"first loss, here: {start:.4f}; loss of saying nothing at all: {silent:.4f}")
assert abs(silent - 0.1) < 1e-9
assert silent < start

# %% [markdown]
# So the loss falls to a fifth without a single digit read, and there the gradient is gone: at $z = -30$ it
# is

# %%
s = sigmoid(-30.0)
print(f"{s * (1 - s):.0e}, {s * (1 - s) / 0.25:.0e} of the steepest")

# %% [markdown]
# ## As published
#
# The recipe trains the document's last network with its rate of 50. Watch the loss settle at 0.1.

# %%
recipe = tenfold.get_recipe("sigmoid-500-published")
stalled = tenfold.train(
    recipe, train_set, test_set, seed=0, engine="numpy"
)  # as there: validates on the test set
points = recipe.published.epochs
lesson.show_curves(
    {
        "published, accuracy": ([e.epoch for e in points], [e.val_accuracy for e in points]),
        "here, accuracy": ([r.epoch for r in stalled.history], [r.val_accuracy for r in stalled.history]),
        "here, loss": ([r.epoch for r in stalled.history], [r.train_loss for r in stalled.history]),
    },
    y="",
    dashed=["published, accuracy"],
)
silence = np.mean(~(stalled.classifier.engine.logits(test_set.images) > 0).any(axis=1))
print(f"loss {stalled.history[-1].train_loss:.4f}; images said not to be a digit: {silence:.0%}")
assert abs(stalled.history[-1].train_loss - silent) < 0.02

# %% [markdown]
# ## The doctor
#
# `tenfold doctor` makes such measurements on any recipe and its data. It must find both reasons.

# %%
diagnosis = tenfold.diagnose(recipe, train_set, engine="numpy")
for finding in diagnosis.findings:
    print(f"{finding.severity}: {finding.title}\n    {finding.seen}\n    fixes it: {dict(finding.changes)}\n")
assert {"loss-trap", "saturated"} <= {finding.code for finding in diagnosis.findings}

# %% [markdown]
# ## How to fix it
#
# The document ends with a list: more layers, more weights, convolutions, dropout, rates per layer,
# schedules, transfer, early stopping. Our two reasons say something else: a better start and a better
# loss. Which helps? We try the document's smaller network, 784-30-10, one change at a time, on the
# small sample.

# %%
small = tenfold.get_recipe("sigmoid-30-published")
he, ce = {"network.initialise": "kaiming"}, {"loss.name": "cross-entropy", "optimiser.learning_rate": 0.2}
deep = ["flatten", "linear 30", "relu", "linear 30", "relu", "linear classes"]
alone = {
    "as published": {},
    "more layers": {"network.layers": deep},
    "more weights (100)": {"network.layers": ["flatten", "linear 100", "relu", "linear classes"]},
    "dropout": {"network.layers": ["flatten", "linear 30", "relu", "dropout 0.2", "linear classes"]},
    "a rate a layer": {"optimiser.groups": [{"match": "linear2", "factor": 0.3}]},
    "a schedule": {"schedule.name": "cosine"},
    "better start": he,
    "better loss": ce,
    "start and loss": he | ce,
}


# %%
def test_accuracy(recipe):
    result = tenfold.train(recipe, train_set, seed=0, engine="numpy")
    return tenfold.evaluate(result.classifier, test_set).accuracy


reached = {name: test_accuracy(tenfold.change_recipe(small, changes)) for name, changes in alone.items()}
listed = list(alone)[1:6]
assert max(reached[name] for name in listed) < reached["start and loss"]
assert reached["start and loss"] > max(0.8, reached["better start"])

# %% [markdown]
# Then on top of start and loss: small batches with a rate that rises and falls (Adam), the document's 500
# hidden units (which is the recipe `sigmoid-500`), and convolutions with dropout.

# %%
cycle = he | ce | {"optimiser.name": "adam", "optimiser.learning_rate": 3e-3, "schedule.name": "one-cycle"}
cycle |= {"training.batch_size": 128, "training.epochs": 10}
convolutions = ["pixel-unshuffle 2", "conv 16 3x3", "relu", "conv 32 3x3", "max-pool 2", "relu", "flatten"]
convolutions += ["dropout 0.2", "linear classes"]
fast = {"training.epochs": 4, "optimiser.learning_rate": 1e-2}
together = {
    "+ small steps, one cycle": tenfold.change_recipe(small, cycle),
    "+ 500 units": tenfold.get_recipe("sigmoid-500"),
    "+ convolutions": tenfold.change_recipe(small, cycle | fast | {"network.layers": convolutions}),
}
reached |= {name: test_accuracy(recipe) for name, recipe in together.items()}
for name, accuracy in reached.items():
    print(f"{name:26}{accuracy:7.1%}")

# %%
names = list(reached)[::-1]
kinds = dict.fromkeys(names, lesson.BAD) | dict.fromkeys(together, lesson.SECOND)
kinds |= dict.fromkeys(("better start", "better loss", "start and loss"), lesson.GOOD)
colours = [kinds[name] for name in names]
figure, axis = plt.subplots(figsize=(6.4, 3.8))
bars = axis.barh(names, [100 * reached[name] for name in names], color=colours)
axis.bar_label(bars, fmt="%.1f %%", padding=3)
axis.set_xlabel("test accuracy, %")
axis.set_xlim(0, 110)
lesson.finish()

# %% [markdown]
# None of the listed remedies gets far by itself (red): they make a network larger that
# gets no gradient. Nor does the better start alone: the loss still rewards silence. Loss and start
# together let it learn (green); after that the list is right, and each adds its share (blue). The full
# table, with all of MNIST, three seeds per row and every remedy, is in [how to fix
# it](../fixing.md).
#
# The document's own network, fixed:

# %%
ours, fixed = stalled.history[-1].val_accuracy, reached["+ 500 units"]
published = recipe.published.test_accuracy
for name, accuracy in (("published", published), ("as published, here", ours), ("fixed", fixed)):
    print(f"{name:20}{accuracy:7.2%}")
assert fixed > 0.9 > 0.5 > ours

# %% [markdown]
# Next: [augmentation, and Adam](5_augmentation.md).
