# %% [markdown]
# # 5. Augmentation, and Adam
#
# A slightly turned 4 is still a 4. Who shows a network turned and moved copies of its images shows it
# more handwriting than there is. A fifth text does so with 784-128-64-10: rotation by up
# to 10 degrees, a random crop, Adam, five epochs. Here we derive what a rotation does to pixels, what
# Adam does to gradients, and measure what both bring.

# %%
import lesson
import numpy as np
from scipy import ndimage

import tenfold
from tenfold.augmentation import AugmentationDraws
from tenfold.numpy_engine.runtime.batches import augment
from tenfold.settings import AugmentationSettings

lesson.style()
SOURCE = "sample"  # or "mnist"
digits = tenfold.load_dataset(SOURCE)
test_set = tenfold.load_dataset(SOURCE, split="test")
train_set, val_set = tenfold.split_dataset(digits, 1 / 6, seed=0)
print(len(train_set), "to learn from,", len(val_set), "to check with,", len(test_set), "for the end")

# %% [markdown]
# ## A rotation is an affine map
#
# Count $x$ to the right and $y$ down from the middle of the picture. A turn by the angle $\theta$ takes
# the point $(x, y)$ to
#
# $$\begin{pmatrix} x' \\ y' \end{pmatrix} =
# \begin{pmatrix} \cos\theta & -\sin\theta \\ \sin\theta & \cos\theta \end{pmatrix}
# \begin{pmatrix} x \\ y \end{pmatrix} .$$
#
# To fill the *new* picture we ask the other way round: from which point of the old one does the pixel
# $(x', y')$ come? The inverse of a rotation is its transpose, the turn by $-\theta$.

# %%
angle = np.deg2rad(10)
turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
assert np.allclose(turn.T @ turn, np.eye(2))
assert np.isclose(np.linalg.det(turn), 1)  # no area is won or lost

# %% [markdown]
# That point seldom is the middle of a pixel. Bilinear interpolation mixes the four around it: with $u, v$
# from 0 to 1 for how far right and down it lies between them,
#
# $$(1-u)(1-v)\,a + u(1-v)\,b + (1-u)v\,c + uv\,d .$$
#
# We turn an image with SciPy, and with tenfold, which does a whole batch in one go. They must agree.
# (SciPy counts rows before columns, so the matrix is turned over.)

# %%
image = digits.images[1000:1001]
back = turn.T  # new -> old
draws = AugmentationDraws(affine=np.array([[[*back[0], 0], [*back[1], 0]]], np.float32))
ours = augment(image, draws)[0]
centre = np.array([13.5, 13.5])
flipped = back[::-1, ::-1]
framed = np.pad(image[0].astype(float), 2)  # black around, so that edges fade alike
theirs = ndimage.affine_transform(framed, flipped, (centre + 2) - flipped @ (centre + 2), order=1)[2:-2, 2:-2]
print(f"largest difference {np.abs(ours - theirs).max():.4f} of 255")
assert np.abs(ours - theirs).max() < 0.05
lesson.show_images([image[0], ours], ["as it is", "turned by 10°"], columns=2, size=1.3)

# %% [markdown]
# Turned there and back, the place is right again, but not the sharpness: each resampling smooths a
# little.

# %%
opposite = AugmentationDraws(affine=np.array([[[*turn[0], 0], [*turn[1], 0]]], np.float32))
there_and_back = augment(np.rint(ours)[None].astype(np.uint8), opposite)[0]
likeness = np.corrcoef(there_and_back.ravel(), image.ravel())[0, 1]
sharpness = [np.abs(np.diff(each.astype(float), axis=1)).mean() for each in (image[0], there_and_back)]
print(f"correlation {likeness:.3f}; mean step between neighbours {sharpness[0]:.1f} -> {sharpness[1]:.1f}")
assert likeness > 0.95
assert sharpness[1] < sharpness[0]

# %% [markdown]
# ## A crop is a shift
#
# Two black pixels are added around, then 28 × 28 are cut out at random: the digit moves by up to two
# pixels each way. Pixel $(y, x)$ of the new picture is pixel $(y + d_y, x + d_x)$ of the old one.

# %%
for dy, dx in ((2, -1), (-2, 2), (0, 0)):
    cut = np.pad(image[0], 2)[2 + dy : 30 + dy, 2 + dx : 30 + dx]
    moved = augment(image, AugmentationDraws(crop=np.array([[dy, dx]])))[0]
    assert np.array_equal(moved, cut)
settings = AugmentationSettings(rotation=10, crop_padding=2)
many = AugmentationDraws.draw(settings, 20_000, (28, 28), np.random.default_rng(0))
angles = np.rad2deg(np.arctan2(many.affine[:, 0, 1], many.affine[:, 0, 0]))
print(f"angles from {angles.min():.1f} to {angles.max():.1f} degrees")
assert np.abs(angles).max() <= 10.001
assert set(np.unique(many.crop)) == {-2, -1, 0, 1, 2}

# %% [markdown]
# Every class, as it is (left) and in nine variants.

# %%
firsts = np.array([np.flatnonzero(digits.labels == k)[3] for k in range(10)])
copies = np.repeat(digits.images[firsts], 9, axis=0)
variants = augment(copies, AugmentationDraws.draw(settings, 90, (28, 28), np.random.default_rng(1)))
rows = [np.concatenate([digits.images[firsts[k]][None], variants[9 * k : 9 * k + 9]]) for k in range(10)]
lesson.show_images(np.concatenate(rows), size=0.5)

# %% [markdown]
# ## Adam
#
# Plain descent takes one rate for all weights. Adam (Kingma & Ba 2015) keeps, for each weight, a
# running mean $m$ of its gradients $g$ and a running mean $v$ of their squares:
#
# $$m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \qquad v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2 .$$
#
# Both start at 0, so at first they are too small. Were every gradient $g$, then $m_t = (1 - \beta_1) g
# \sum_{i<t} \beta_1^i = (1 - \beta_1^t)\, g$. Dividing by $1 - \beta_1^t$ fixes it; likewise for $v$.
# The step is
#
# $$w_t = w_{t-1} - \eta\, \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon} .$$

# %%
beta1, beta2, epsilon, rate = 0.9, 0.999, 1e-8, 1e-3
m = 0.0
for t in range(1, 6):
    m = beta1 * m + (1 - beta1) * 0.7
    assert np.isclose(m, (1 - beta1**t) * 0.7)


def adam(w, gradients):
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(gradients, start=1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        w = w - rate * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + epsilon)
    return w


# %% [markdown]
# tenfold's optimiser writes it with fewer operations. Both must walk the same way, here for 50 random
# gradients whose sizes differ a million times.

# %%
from tenfold.networks.shapes import Parameter
from tenfold.numpy_engine.optimisers import Adam
from tenfold.settings import OptimiserSettings

rng = np.random.default_rng(0)
walk = rng.normal(size=(50, 40)) * np.logspace(-3, 3, 40)
w = rng.normal(size=40)
optimiser = Adam(OptimiserSettings(name="adam"), [Parameter("w", (40,), "weight")], np.float64)
ours = w.copy()
for g in walk:
    optimiser.step(ours, g.copy(), rate)
print(f"largest difference after 50 steps: {np.abs(ours - adam(w, walk)).max():.0e}")
assert np.allclose(ours, adam(w, walk), rtol=1e-12, atol=1e-14)

# %% [markdown]
# The first step shows what Adam is about. There $m_1/(1-\beta_1) = g$ and $v_1/(1-\beta_2) = g^2$, so
# every weight moves by $\eta$, whatever the size of its gradient.

# %%
first = adam(w, walk[:1]) - w
print(f"gradients from {np.abs(walk[0]).min():.0e} to {np.abs(walk[0]).max():.0e};", end=" ")
print(f"steps from {np.abs(first).min():.6f} to {np.abs(first).max():.6f}")
assert np.allclose(first, -rate * np.sign(walk[0]), rtol=1e-3)

# %% [markdown]
# ## Training, as published and fixed
#
# 784-128-64-10. The document names neither rate nor batch size; those of the recipe give its curve
# again on all of MNIST. Its validation images are turned and cropped as well, which makes them harder:
# our recipe "as published" does the same. Five epochs of the small sample are few steps, so here our
# curves begin lower.

# %%
published = tenfold.get_recipe("mlp-128-64-augmented-published")
recipe = tenfold.get_recipe("mlp-128-64-augmented")
parameters = recipe.plan((28, 28), 10).parameter_count
print(f"{parameters:,} parameters, published {published.published.parameters:,}")
assert parameters == published.published.parameters
first = tenfold.train(published, train_set, val_set, seed=0, engine="numpy")
second = tenfold.train(recipe, train_set, val_set, seed=0, engine="numpy")

# %%
epochs = published.published.epochs
lesson.show_curves(
    {
        "fixed, training": ([r.epoch for r in second.history], [r.train_loss for r in second.history]),
        "fixed, validation": ([r.epoch for r in second.history], [r.val_loss for r in second.history]),
        "published, training": ([e.epoch for e in epochs], [e.train_loss for e in epochs]),
        "as published, training": ([r.epoch for r in first.history], [r.train_loss for r in first.history]),
        "published, validation": ([e.epoch for e in epochs], [e.val_loss for e in epochs]),
        "as published, validation": ([r.epoch for r in first.history], [r.val_loss for r in first.history]),
    },
    y="loss",
    dashed=["published, training", "published, validation"],
)


# %%
def figures(result):
    end = result.history[-1]
    names = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
    return {name: getattr(end, name) for name in names}


reported = published.published.model_dump(include=set(figures(first)))
lesson.compare_figures(published=reported, as_published=figures(first), fixed=figures(second))

# %% [markdown]
# In the document, validation is more accurate than training in every epoch. Training figures are taken
# *while* the network learns, on images as they were met; validation comes at the end of the epoch, when
# it knows more.

# %%
assert all(e.val_accuracy > e.train_accuracy for e in epochs)
print("ahead by", ", ".join(f"{e.val_accuracy - e.train_accuracy:.1%}" for e in epochs))

# %% [markdown]
# ## What does augmentation bring?
#
# The same network, recipe and number of steps, with and without, for longer; asked about images it has
# learned from, and about new ones.

# %%
longer = tenfold.change_recipe(recipe, {"training.epochs": 16})
without = tenfold.change_recipe(longer, {"augmentation.rotation": 0, "augmentation.crop_padding": 0})
runs = {
    name: tenfold.train(each, train_set, val_set, seed=0, engine="numpy").classifier
    for name, each in (("with", longer), ("without", without))
}
rng = np.random.default_rng(2)
turned = np.rint(augment(test_set.images, AugmentationDraws.draw(settings, len(test_set), (28, 28), rng)))
for name, classifier in runs.items():
    known = np.mean(classifier.predict(train_set.images) == train_set.labels)
    new = np.mean(classifier.predict(test_set.images) == test_set.labels)
    moved = np.mean(classifier.predict(turned.astype(np.uint8)) == test_set.labels)
    print(f"{name:8} learned from {known:.1%}   new {new:.1%}   new, turned and moved {moved:.1%}")
    runs[name] = classifier, moved
assert runs["with"][1] > runs["without"][1]

# %% [markdown]
# ## Right and wrong
#
# Predictions of the network that was trained longer, on test images: right in green, wrong in red.

# %%
best = runs["with"][0]
said = best.predict(test_set.images)
right, wrong = np.flatnonzero(said == test_set.labels), np.flatnonzero(said != test_set.labels)
lesson.show_images(
    test_set.images[right[::50][:20]], [str(d) for d in said[right[::50][:20]]], colours=lesson.GOOD
)
titles = [f"{test_set.labels[k]} → {said[k]}" for k in wrong[:20]]
lesson.show_images(test_set.images[wrong[:20]], titles, colours=lesson.BAD)
scores = tenfold.evaluate(best, test_set)
print(f"{scores.misses} misses of {scores.n}, {scores.accuracy:.1%} right")
assert scores.misses == len(wrong)

# %% [markdown]
# Next: [your own handwriting](6_own_handwriting.md), where a tutorial's model meets a real pen.
