# %% [markdown]
# # 1. Softmax regression, from the mathematics
#
# Ten numbers per image, one per digit; the largest wins. That is the whole model, and it reads nine
# digits out of ten. This lesson follows a tutorial of March 2024 that builds it in NumPy
# and then in PyTorch. It is a good lesson with nine faults. We derive everything, check every step with
# numbers, and show what each fault costs.
#
# The data are 5,000 real images of MNIST that come with the package. For all of MNIST, change one line:
# `SOURCE = "mnist"`.

# %%
import lesson
import numpy as np

import tenfold
from tenfold.arrays import Batch

lesson.style()
SOURCE = "sample"  # or "mnist"
digits = tenfold.load_dataset(SOURCE)
train_set, val_set = tenfold.split_dataset(digits, 1 / 6, seed=0, stratified=False)
print(f"{len(train_set)} images to learn from, {len(val_set)} to check with")
print("one image:", train_set.images[0].shape, train_set.images.dtype, "label", train_set.labels[0])

# %% [markdown]
# An image is 28 × 28 pixels from 0 (paper) to 255 (ink). Here are six of each digit.

# %%
order = [k for row in range(6) for k in (np.flatnonzero(train_set.labels == c)[row] for c in range(10))]
lesson.show_images(train_set.images[order])

# %% [markdown]
# The model wants rows of numbers, so each image is laid out flat: 784 numbers. We write $x$ for the
# matrix of all rows, and compute in float64, so that rounding cannot hide a mistake.

# %%
pixels = train_set.images.reshape(-1, 784).astype(np.float64)  # 0..255, as the document leaves them
x, labels = pixels / 255, train_set.labels
print(x.shape, labels.shape)

# %% [markdown]
# ## Scores and probabilities
#
# Each digit has 784 weights and a bias. With $W$ of shape (10, 784) and $b$ of shape (10),
#
# $$z = x W^T + b .$$
#
# Softmax turns the ten scores $z_k$ into probabilities:
#
# $$p_k = \frac{e^{z_k}}{\sum_j e^{z_j}} = \frac{e^{z_k - m}}{\sum_j e^{z_j - m}}, \qquad m = \max_j z_j .$$
#
# Taking $m$ away changes nothing, because $e^{-m}$ stands above and below the line. But it keeps the
# numbers small enough for a computer.


# %%
def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


rng = np.random.default_rng(0)
z = rng.normal(size=(5, 10))
plain = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
assert np.allclose(softmax(z), plain, atol=1e-15)
assert np.allclose(softmax(z).sum(axis=1), 1)
assert np.isfinite(softmax(1000 * z)).all()  # where exp(1000) alone is infinite

# %% [markdown]
# **Fault 1: the denominator.** The document's formula has the maximum where $z_j$ belongs:
# $\sum_j e^{m}$. Its rows do not sum to 1. (Its code is right; only the formula is wrong.)


# %%
def printed_softmax(z):
    m = z.max(axis=1, keepdims=True)
    return np.exp(z) / np.exp(np.repeat(m, 10, axis=1)).sum(axis=1, keepdims=True)


print("sums of rows, as printed:", printed_softmax(z).sum(axis=1).round(3))
print("sums of rows, fixed:    ", softmax(z).sum(axis=1).round(3))
assert (printed_softmax(z).sum(axis=1) < 0.99).all()

# %% [markdown]
# ## The target, and the loss
#
# The right answer is written as a row with a single 1: column $c$ for the digit $c$.
#
# **Fault 2: off by one.** The document puts the 1 into column $c - 1$, so digit 0 sits in column 9. The
# network learns as well as before: columns have no meaning of their own. But who reads the columns
# as digits is always wrong.


# %%
def one_hot(labels):
    return np.eye(10)[labels]


shifted = one_hot(labels - 1)  # row -1 of the identity is its last one
print("columns read as digits, shifted:", (shifted.argmax(axis=1) == labels).mean())
print("columns read as digits, fixed: ", (one_hot(labels).argmax(axis=1) == labels).mean())
assert ((shifted.argmax(axis=1) + 1) % 10 == labels).all()

# %% [markdown]
# The loss is small when the right digit got a high probability. It is the mean of $-\log p$ over the $N$
# images:
#
# $$L = -\frac1N \sum_{n} \sum_k y_{nk} \log p_{nk} .$$
#
# Who knows nothing says 1/10 for each digit and pays $\ln 10$.


# %%
def loss_of(W, b, x, y):
    return -np.mean(np.sum(y * np.log(softmax(x @ W.T + b)), axis=1))


y = one_hot(labels)
nothing = loss_of(np.zeros((10, 784)), np.zeros(10), x, y)
print(f"loss of knowing nothing: {nothing:.4f}, ln 10 = {np.log(10):.4f}")
assert np.isclose(nothing, np.log(10))

# %% [markdown]
# ## The gradient, step by step
#
# **From probabilities to scores.** Differentiate $\log p_j = z_j - \log \sum_i e^{z_i}$ along $z_k$: the
# first term gives 1 if $j = k$, the second gives $p_k$. So
#
# $$\frac{\partial \log p_j}{\partial z_k} = \delta_{jk} - p_k .$$
#
# Check: move each score a little up and down, and see how the logarithms move.

# %%
row = rng.normal(size=(1, 10))
measured = [lesson.differences(lambda j=j: np.log(softmax(row))[0, j], row, range(10)) for j in range(10)]
assert np.allclose(measured, np.eye(10) - softmax(row), atol=1e-8)

# %% [markdown]
# **From the loss to scores.** Put it into $L$. For one image, with $\sum_j y_j = 1$,
#
# $$\frac{\partial L}{\partial z_k} = -\frac1N \sum_j y_j (\delta_{jk} - p_k) = \frac{p_k - y_k}{N} .$$
#
# **From scores to weights.** The score $z_{nk}$ moves by $x_{ni}$ when $W_{ki}$ moves by 1, and by 1 when
# $b_k$ does. Add up over the images:
#
# $$\frac{\partial L}{\partial W} = \frac{(p - y)^T x}{N}, \qquad
# \frac{\partial L}{\partial b} = \frac1N \sum_n (p_n - y_n) .$$


# %%
def gradients(W, b, x, y):
    error = (softmax(x @ W.T + b) - y) / len(x)
    return error.T @ x, error.sum(axis=0)


W, b = rng.normal(0, 0.1, (10, 784)), rng.normal(0, 0.1, 10)
few, wanted = x[::50].copy(), y[::50]
dW, db = gradients(W, b, few, wanted)
places = rng.permutation(np.flatnonzero(np.abs(dW) > 1e-4))[:40]
measured = lesson.differences(lambda: loss_of(W, b, few, wanted), W, places)
print("largest relative difference, W:", np.max(np.abs(measured - dW.flat[places]) / np.abs(measured)))
assert np.allclose(measured, dW.flat[places], rtol=1e-5, atol=1e-9)
assert np.allclose(lesson.differences(lambda: loss_of(W, b, few, wanted), b, range(10)), db, atol=1e-9)

# %% [markdown]
# The formula holds. tenfold's own engine must give the same numbers, for the same weights and images.

# %%
from tenfold.networks.engine import EngineOptions
from tenfold.numpy_engine.engine import NumpyEngine
from tenfold.numpy_engine.gradcheck import InsideView

recipe = tenfold.get_recipe("softmax-gd")
network = recipe.plan((28, 28), 10)
name = network.parameters()[0].name.removesuffix(".weight")
weights = {f"{name}.weight": W, f"{name}.bias": b}
options = EngineOptions(precision="float64")
theirs = InsideView.of(network, weights, options, train_set.images[::50], labels[::50]).gradients
assert np.allclose(theirs[f"{name}.weight"], dW, atol=1e-12)
assert np.allclose(theirs[f"{name}.bias"], db, atol=1e-12)

# %% [markdown]
# **Fault 3: the sign.** The document calls $(y - p)^T x$ the gradient. It is its negative: the direction
# *down*. The document then adds it, so two wrongs make a right. Who takes the name seriously and
# subtracts it climbs.

# %%
called_gradient = (wanted - softmax(few @ W.T + b)).T @ few / len(few)
rate, before = 0.1, loss_of(W, b, few, wanted)
added = loss_of(W + rate * called_gradient, b, few, wanted)
subtracted = loss_of(W - rate * called_gradient, b, few, wanted)
print(f"loss {before:.3f}; added {added:.3f}; subtracted {subtracted:.3f}")
assert added < before < subtracted

# %% [markdown]
# **Fault 4: a sum where the loss has a mean.** The document's loss is the mean, its gradient the sum. The
# sum is $N$ times as long, so its step of $10^{-4}$ over the document's 50,000 images is really one of 5,
# and it changes whenever the number of images does.

# %%
dW_sum = (softmax(x @ W.T + b) - y).T @ x
assert np.allclose(dW_sum, len(x) * gradients(W, b, x, y)[0])
print("a step of 1e-4 along the sum is one along the mean of", 1e-4 * 50_000)

# %% [markdown]
# tenfold can look at code of one's own for just these mistakes.


# %%
def mean_loss(z, labels):
    return float(-np.log(softmax(z))[np.arange(len(z)), labels].mean())


document = tenfold.check_own_code(
    softmax=printed_softmax,
    one_hot=lambda labels: one_hot(labels - 1),
    loss=mean_loss,
    gradient=lambda z, labels: one_hot(labels) - softmax(z),
)
for finding in document:
    print(f"{finding.title}: {finding.seen}")
ours = {"softmax": softmax, "one_hot": one_hot, "loss": mean_loss}
fixed = tenfold.check_own_code(**ours, gradient=lambda z, c: (softmax(z) - one_hot(c)) / len(z))
assert len(document) == 3 and not fixed

# %% [markdown]
# ## The start
#
# **Fault 5: pixels from 0 to 255. Fault 6: weights from N(0, 1).** A score is then a sum of some hundred
# terms of size 255. It is huge, softmax is certain at once, and mostly wrong. The document clips
# probabilities to $10^{-9}$, so a wrong answer costs $-\ln 10^{-9}$, a right one nothing; right is one in
# ten by chance. Its first loss is published as 19.95 (and 18.687 in another run).

# %%
W1, b1 = rng.normal(size=(10, 784)), rng.normal(size=10)


def clipped_loss(W, b, x):
    p = np.clip(softmax(x @ W.T + b), 1e-9, 1 - 1e-9)
    return -np.log(p[np.arange(len(x)), labels]).mean()


z1 = pixels @ W1.T + b1
print(
    f"scores spread over {z1.std():.0f}; surest answer above 0.999: {np.mean(softmax(z1).max(1) > 0.999):.1%}"
)
print(f"first loss, as published: {clipped_loss(W1, b1, pixels):.2f}")
print(f"expected, right one in ten times: {0.9 * -np.log(1e-9):.2f}")
print(f"scaled pixels, small weights: {clipped_loss(W1 / 28, b1 * 0, x):.2f}; ln 10 = {np.log(10):.2f}")
assert clipped_loss(W1, b1, pixels) > 15
assert abs(clipped_loss(W1 / 28, b1 * 0, x) - np.log(10)) < 0.5

# %% [markdown]
# The first step of the document, $10^{-3}$ on the sum, took its loss from 18.687 to 7.702. Ours, by hand,
# with as long a step for an image; and by tenfold's engine, which must agree.

# %%
published = tenfold.get_recipe("softmax-gd-published")
rate = 1e-3 * 50_000 / len(x)  # what the document's 50,000 images would pull
error = y - softmax(z1)  # added, as there
W2, b2 = W1 + rate * error.T @ pixels, b1 + 0.1 * rate * error.sum(axis=0)
print(f"loss {clipped_loss(W1, b1, pixels):.3f} -> {clipped_loss(W2, b2, pixels):.3f} after one step")

to_row = np.roll(np.arange(10), -1)  # tenfold's rows are shifted as the document's columns are
options = EngineOptions(std=1 / 255, loss=published.loss, optimiser=published.optimiser, precision="float64")
start = {f"{name}.weight": W1[to_row], f"{name}.bias": b1[to_row]}
engine = NumpyEngine(network, start, options)
engine.train_step(Batch(train_set.images, labels), rate)
assert np.allclose(engine.store.values[f"{name}.weight"], W2[to_row], rtol=1e-9, atol=1e-6)
assert np.allclose(engine.store.values[f"{name}.bias"], b2[to_row], rtol=1e-9, atol=1e-6)

# %% [markdown]
# **Fault 7: a bias that learns at a tenth of the rate.** The pixels already make the weights' gradient
# large; with the smaller rate on top, the biases hardly leave the place where chance put them.

# %%
print(f"one step moved the scores by {np.abs(pixels @ (W2 - W1).T).mean():.0f} through the weights,")
print(f"and by {np.abs(b2 - b1).mean():.4f} through the biases")
assert np.abs(b2 - b1).mean() < 1e-3 * np.abs(pixels @ (W2 - W1).T).mean()

# %% [markdown]
# ## As published, and fixed
#
# Both are recipes that tenfold carries: the same network, once with the faults, once without. They train
# here in seconds. Our figures are of the small sample, so they lie below what 50,000 images give; it is
# the two columns of ours that tell what the fixes do.


# %%
def figures(result):
    end = result.history[result.best_epoch - 1]
    return {
        "train_loss": end.train_loss,
        "train_accuracy": end.train_accuracy,
        "val_loss": end.val_loss,
        "val_accuracy": end.val_accuracy,
    }


faulty = tenfold.train(published, train_set, val_set, seed=0, engine="numpy")
good = tenfold.train(recipe, train_set, val_set, seed=0, engine="numpy")
reported = published.published.model_dump(include=set(figures(good)))
lesson.compare_figures(published=reported, with_faults=figures(faulty), fixed=figures(good))
assert good.history[-1].val_accuracy > faulty.history[faulty.best_epoch - 1].val_accuracy

# %%
lesson.show_curves(
    {
        "fixed": ([r.epoch for r in good.history], [r.val_loss for r in good.history]),
        "with its faults": ([r.epoch for r in faulty.history], [r.val_loss for r in faulty.history]),
    },
    x="steps",
    y="validation loss",
)

# %% [markdown]
# ## What it has learned
#
# Weights are signed: ink where they are positive (red) supports the digit, where negative (blue)
# contradicts it. **Fault 8:** the document shows nine of the ten. It also adds the bias to every pixel; a
# bias belongs to no pixel, so we write it above the picture, and let white be zero for all.

# %%
learned = good.classifier.engine.weights()
pictures = learned[f"{name}.weight"].reshape(10, 28, 28)
most = np.quantile(np.abs(pictures), 0.995)
titles = [f"{k}  ({bias:+.2f})" for k, bias in enumerate(learned[f"{name}.bias"])]
lesson.show_images(pictures, titles, columns=5, size=1.15, cmap="RdBu_r", vmin=-most, vmax=most)
nine = tenfold.check_own_code(weights=learned[f"{name}.weight"], pictures=pictures[:9])
print(nine[0].seen)
assert not tenfold.check_own_code(weights=learned[f"{name}.weight"], pictures=pictures)

# %% [markdown]
# Ten random validation images, green where right and red where wrong. The document saw ten of ten right.
# At its own accuracy, how often would chance alone show that? Ten pictures prove little.

# %%
chosen = np.random.default_rng(3).permutation(len(val_set))[:10]
said = good.classifier.predict(val_set.images[chosen])
colours = [lesson.GOOD if right else lesson.BAD for right in said == val_set.labels[chosen]]
lesson.show_images(val_set.images[chosen], [str(digit) for digit in said], colours=colours)
p = published.published.val_accuracy
print(f"chance of ten right out of ten at {p:.2%}: {p**10:.0%}")

# %% [markdown]
# ## The second part: mini-batches
#
# The document then writes the same model in PyTorch: batches of 128, shuffled, plain descent at
# $10^{-3}$, 20 epochs. A step looks at 128 images instead of 50,000; its gradient is right on average. We
# take as many *steps* as the document did, 391 per epoch, whatever the size of our data.
#
# Is it right on average? The mean over the batches of one epoch, all of one size, is the whole gradient.

# %%
size = 128 * (len(x) // 128)
parts = rng.permutation(size).reshape(-1, 128)
mean = np.mean([gradients(W, b, x[part], y[part])[0] for part in parts], axis=0)
assert np.allclose(mean, gradients(W, b, x[:size], y[:size])[0], atol=1e-12)

# %%
sgd = tenfold.get_recipe("softmax-sgd-published")
an_epoch = -(-50_000 // 128)
as_many = tenfold.change_recipe(sgd, {"training.steps": 20 * an_epoch})
slow = tenfold.train(as_many, train_set, val_set, seed=0, engine="numpy")
quick = tenfold.train(tenfold.get_recipe("softmax-sgd"), train_set, val_set, seed=0, engine="numpy")
points = sgd.published.epochs
lesson.show_curves(
    {
        "as published, here": ([r.steps for r in slow.history], [r.val_accuracy for r in slow.history]),
        "fixed": ([r.steps for r in quick.history], [r.val_accuracy for r in quick.history]),
        "published": ([an_epoch * e.epoch for e in points], [e.val_accuracy for e in points]),
    },
    x="steps",
    y="validation accuracy",
    dashed=["published"],
)

# %% [markdown]
# The curve of the document is simply not finished: at this rate the weights crawl. A hundred times the
# rate, with momentum, arrives in a fraction of the steps.
#
# **Fault 9: a claim beside its own figure.** The text speaks of "exceeding 89 %"; its last line says:

# %%
last = points[-1]
print(f"epoch {last.epoch}: published validation accuracy {last.val_accuracy:.2%}")
assert last.val_accuracy < 0.89
compared = {"steps": slow.history[-1].steps, "val_accuracy": slow.history[-1].val_accuracy}
better = {"steps": quick.history[-1].steps, "val_accuracy": quick.history[-1].val_accuracy}
lesson.compare_figures(as_published_here=compared, fixed=better)
assert better["val_accuracy"] > compared["val_accuracy"]

# %% [markdown]
# Next: [two hidden layers](2_two_hidden_layers.md), and how the gradient finds its way back through them.
