# %% [markdown]
# # 3. The workflow of a small network
#
# "Recognise which digit is shown in the given image." A third text lays out the steps:
# load, split, normalise, batch, shuffle; two hidden layers; forward, loss, back-propagation, optimiser;
# test. It gives no figures. Here each step is written out by hand, on tenfold's NumPy engine, and the
# whole is compared with the one call that does it all.

# %%
import lesson
import numpy as np

import tenfold

lesson.style()
SOURCE = "sample"  # or "mnist"
recipe = tenfold.change_recipe(tenfold.get_recipe("mlp-small"), {"training.precision": "float64"})
print(recipe.network.layers)

# %% [markdown]
# ## Load and split
#
# Three parts: to learn from, to choose with, to test. No image in two of them.

# %%
digits = tenfold.load_dataset(SOURCE)
test_set = tenfold.load_dataset(SOURCE, split="test")
train_set, val_set = tenfold.split_dataset(digits, recipe.data.validation, seed=0)
assert len(train_set) + len(val_set) == len(digits)
print(len(train_set), len(val_set), len(test_set))
lesson.show_images(train_set.images[:: len(train_set) // 20][:20])

# %% [markdown]
# ## Normalise
#
# Pixels from 0 to 255 become numbers from -1 to 1: $x' = (x/255 - m)/s$ with $m = s = 0.5$. Does that
# lose anything? No: a first layer can undo it. For any $W, b$,
#
# $$x' W^T + b = \frac{x}{255}\,\frac{W^T}{s} + \Big(b - \frac{m}{s} \sum_i W_i\Big) .$$
#
# So 0..1 and -1..1 can express the same networks. The scale only decides how steep the way down is.

# %%
rng = np.random.default_rng(0)
W, b, m, s = rng.normal(size=(5, 784)), rng.normal(size=5), 0.5, 0.5
unit = train_set.images[:8].reshape(8, 784) / 255
centred = (unit - m) / s
assert centred.min() >= -1 and centred.max() <= 1
assert np.allclose(centred @ W.T + b, unit @ (W / s).T + b - m / s * W.sum(axis=1))

# %% [markdown]
# ## Layers
#
# Each layer knows two things: forward, and backward. For a linear layer with $\delta = \partial
# L/\partial z$,
#
# $$\frac{\partial L}{\partial W} = \delta^T x, \qquad \frac{\partial L}{\partial b} = \sum_n \delta_n, \qquad
# \frac{\partial L}{\partial x} = \delta W ,$$
#
# and for ReLU $\partial L/\partial x = \delta \odot [x > 0]$. tenfold checks any layer against central
# differences; so do we, layer by layer.

# %%
from tenfold.numpy_engine.network import RunningNetwork
from tenfold.numpy_engine.runtime.memory import ParameterStore

network = recipe.plan((28, 28), 10)
weights = network.initial_weights(recipe.network.initialise, seed=0)
exact = RunningNetwork(network, ParameterStore.of(network, weights, np.float64))
inputs = centred.reshape(8, 28, 28, 1)
for layer in exact.layers:
    check = tenfold.check_gradients(layer, inputs, rng=rng, samples=60)
    print(f"{layer.spec.name:10} {layer.spec.kind:8} largest error {check.largest_error:.0e}")
    assert check.passed(1e-6)
    inputs = layer.forward(inputs, training=True).copy()

# %% [markdown]
# ## The loop, by hand
#
# For each epoch, for each batch: forward, loss, backward, a step of the optimiser. This is all of it.

# %%
from tenfold.data.batches import iterate_batches
from tenfold.numpy_engine.losses import CrossEntropy
from tenfold.numpy_engine.optimisers import Adam

store = ParameterStore.of(network, weights, np.float64)
layers, loss = RunningNetwork(network, store), CrossEntropy(recipe.loss)
optimiser = Adam(recipe.optimiser, store.learned_parameters, np.float64)
how = {"batch_size": recipe.training.batch_size, "shuffle": True, "drop_last": False}
how |= {"augmentation": recipe.augmentation, "seed": 0}
an_epoch = -(-len(train_set) // recipe.training.batch_size)


# %%
def train_epoch(epoch):
    """The mean loss of the epoch's images, as they were met."""
    total = 0.0
    for number, batch in enumerate(iterate_batches(train_set, epoch=epoch, **how)):
        x = (batch.images / 255 - 0.5) / 0.5
        logits = layers.forward(x, training=True)  # forward
        value, gradient = loss(logits, batch.labels)  # loss
        layers.backward(gradient)  # back-propagation
        step, steps = epoch * an_epoch + number, recipe.training.epochs * an_epoch
        rate = recipe.schedule.learning_rate_at(step, steps, recipe.optimiser.learning_rate)
        optimiser.step(store.learned, store.gradients, rate)  # the step
        total += value * len(batch)
    return total / len(train_set)


losses = [train_epoch(epoch) for epoch in range(recipe.training.epochs)]
print([round(value, 4) for value in losses])

# %% [markdown]
# The same with one call. The losses of both must agree.

# %%
result = tenfold.train(recipe, train_set, val_set, seed=0, engine="numpy")
print([round(record.train_loss, 4) for record in result.history])
assert np.allclose(losses, [record.train_loss for record in result.history], rtol=1e-6)
lesson.show_curves(
    {
        "training": ([r.epoch for r in result.history], [r.train_loss for r in result.history]),
        "validation": ([r.epoch for r in result.history], [r.val_loss for r in result.history]),
    },
    y="loss",
)

# %% [markdown]
# ## Why batches, and why shuffled
#
# The gradient of a batch is that of all images, on average: the mean of a random part is an unbiased
# guess of the mean of the whole. A batch that is *not* random is another matter. Our images are sorted by
# digit; without shuffling, a batch holds one or two digits only, and each undoes the one before.

# %%
ordered = np.argsort(train_set.labels, kind="stable")
by_digit = train_set.subset(ordered)
unshuffled = tenfold.change_recipe(recipe, {"training.shuffle": False})
sorted_run = tenfold.train(unshuffled, by_digit, val_set, seed=0, engine="numpy")
print("digits in the first batch:", np.unique(by_digit.labels[:128]))
assert len(np.unique(by_digit.labels[:128])) <= 2
for name, run in (("shuffled", result), ("sorted", sorted_run)):
    print(f"{name}: validation accuracy {run.history[-1].val_accuracy:.1%}")
assert sorted_run.history[-1].val_accuracy < result.history[-1].val_accuracy

# %% [markdown]
# ## Test
#
# On images that had no say in anything.

# %%
scores = tenfold.evaluate(result.classifier, test_set)
low, high = scores.interval
print(f"test accuracy {scores.accuracy:.1%} of {scores.n}, 95 % interval {low:.1%} to {high:.1%}")
by_hand = np.mean(result.classifier.predict(test_set.images) == test_set.labels)
assert scores.accuracy == by_hand

# %% [markdown]
# The first layer's 64 units, as pictures: each is a little detector of ink here (red) and none there
# (blue). After so few images, much of it is still the noise it started from.

# %%
first = result.classifier.engine.weights()[network.parameters()[0].name].reshape(-1, 28, 28)
most = np.quantile(np.abs(first), 0.99)
lesson.show_images(first, columns=16, size=0.42, cmap="RdBu_r", vmin=-most, vmax=most)

# %% [markdown]
# And some answers, right and wrong.

# %%
said = result.classifier.predict(test_set.images)
right, wrong = np.flatnonzero(said == test_set.labels), np.flatnonzero(said != test_set.labels)
shown = np.concatenate([right[:: len(right) // 10][:10], wrong[:10]])
titles = [
    str(said[k]) if said[k] == test_set.labels[k] else f"{test_set.labels[k]} → {said[k]}" for k in shown
]
colours = [lesson.GOOD if said[k] == test_set.labels[k] else lesson.BAD for k in shown]
lesson.show_images(test_set.images[shown], titles, colours=colours)

# %% [markdown]
# Next: [a loss that stalls](4_sigmoid_distance.md), and why.
