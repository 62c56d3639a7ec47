# %% [markdown]
# # 6. From 10 % to your own handwriting
#
# A model that reads 94 % of its test images may read next to nothing of what *you* write. This lesson
# measures it, finds out why, and shows how tenfold reads a picture: one strip for each line, a network
# that spells from left to right, and a few labelled lines to learn one person's hand.

# %%
from pathlib import Path

import lesson
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

import tenfold
from tenfold.synthesis.glyphs import DIGITS, load_glyphs, vary
from tenfold.synthesis.scenes import canvas_picture

lesson.style()
SOURCE = "sample"  # or "mnist"
EXAMPLES = Path(lesson.__file__).parents[1] / "examples"

# %% [markdown]
# ## A tutorial's model
#
# The network of [lesson 2](2_two_hidden_layers.md), trained in a second. On its own test images it does
# well.

# %%
recipe = tenfold.change_recipe(tenfold.get_recipe("mlp-120-84"), {"training.precision": "float32"})
tutorial = tenfold.train(recipe, tenfold.load_dataset(SOURCE), seed=0, engine="numpy").classifier
test_set = tenfold.load_dataset(SOURCE, split="test")
at_home = tenfold.evaluate(tutorial, test_set).accuracy
print(f"{at_home:.1%} of {len(test_set)} test images")

# %% [markdown]
# Forty drawings, as people make them with a mouse or a finger. tenfold draws them from pen strokes of its
# own, so we know what is written. Tutorials make such a picture grey, invert it where it is bright, and
# squeeze it to 28 × 28.


# %%
def naive(picture):
    grey = np.asarray(picture.convert("L"))
    grey = 255 - grey if grey.mean() > 127 else grey
    return np.asarray(Image.fromarray(grey).resize((28, 28)))


rng = np.random.default_rng(6)
glyphs = [glyph for glyph in load_glyphs() if glyph.label in DIGITS]
chosen = [glyphs[k] for k in rng.permutation(len(glyphs))[:40]]
pictures = [canvas_picture(vary(glyph, rng), rng) for glyph in chosen]
labels = np.array([int(glyph.label) for glyph in chosen])
squeezed = np.stack([naive(picture) for picture in pictures])
right = tutorial.predict(squeezed) == labels
print(f"drawings {right.mean():.0%}, its own test images {at_home:.0%}")
assert right.mean() < 0.6 < at_home

# %% [markdown]
# Below, what the network is given. Green is read rightly, red wrongly. By guessing it would be 10 %.
# MNIST's digits are of one height, in the middle, on black; these are not. And it can only name a digit:
# it has no answer for two digits, for a word, or for nothing at all.

# %%
said = tutorial.predict(squeezed)
colours = [lesson.GOOD if good else lesson.BAD for good in right[:20]]
lesson.show_images(squeezed[:20], [f"{a} → {b}" for a, b in zip(labels[:20], said[:20])], colours=colours)

# %% [markdown]
# ## A strip
#
# tenfold's own reader takes a whole line. It looks for lines of writing, and turns each into a *strip*:
# 32 pixels high and as wide as it needs to be, paper at grey level 128, and the contrast of each line the
# same. Nothing is erased and nothing is cut into digits.

# %%
from tenfold.pictures.lines import Strip, find_lines, make_strip
from tenfold.pictures.open import open_picture

grey = open_picture(EXAMPLES / "note.jpg").grey
box = find_lines(grey)[0]
strip = make_strip(grey)
print("a line in the box", box, "of a picture", grey.shape, "-> a strip", strip.shape)
lesson.show_images([grey, strip], ["photo", "strip"], columns=2, size=2.6, cmap="gray", vmin=0, vmax=255)
assert strip.shape[0] == 32
assert abs(np.median(strip) - Strip.PAPER) < 4
pale = make_strip((grey // 2 + 90).astype(np.uint8))  # half the contrast, brighter
assert np.abs(pale.astype(int) - strip).mean() < 4

# %% [markdown]
# ## What the network sees
#
# A convolutional network slides over the strip. For every 2 pixels it gives a column of 21 scores: one
# for each digit, for each of `.,-/:+×÷=`, for "other" (letters, scribbles), and for the *blank*: no
# character ends here. The picture below shows their probabilities.

# %%
from tenfold.numerics import log_softmax, softmax
from tenfold.reader.decode import BLANK, CHARACTERS

reader = tenfold.load_reader()
logits = reader.engine.logits(strip[None])[0]
probs = softmax(logits)
figure, axes = plt.subplots(2, 1, sharex=True, figsize=(6.4, 3.8), height_ratios=[1, 3])
axes[0].imshow(strip, cmap="gray", extent=(0, len(probs), 1, 0), aspect="auto")
axes[1].imshow(probs.T, cmap="Greens", extent=(0, len(probs), 21, 0), aspect="auto")
axes[0].set_yticks([])
axes[1].set_yticks(np.arange(21) + 0.5, [*CHARACTERS, "blank"], fontsize=6)
axes[1].set_xlabel("column")
lesson.finish()
assert probs.shape == (strip.shape[1] // 2, len(CHARACTERS) + 1)
assert probs[0].argmax() == BLANK  # the paper at the left end

# %% [markdown]
# ## Columns spell
#
# Take the likeliest character of every column, merge repeats, and leave the blanks out (Graves et al.
# 2006). A blank between two equal characters keeps both: `1 1 _ 1` spells 11.

# %%
path = probs.argmax(axis=1)
kept = [c for c, before in zip(path, [BLANK, *path]) if c not in (before, BLANK)]
spelled = "".join(CHARACTERS[c] for c in kept)
print("".join([*CHARACTERS, "_"][c] for c in path), "->", spelled)

# %% [markdown]
# Several paths spell the same text, and their probabilities add up. A *beam search* keeps the texts with
# the largest sums, column by column, and so finds the likeliest text, and how likely it is.

# %%
from tenfold.reader.constraint import Constraint
from tenfold.reader.decode import decode

logs = log_softmax(logits)
free = decode(logs)
print(free.text, f"{free.confidence:.1%}")
along = logs[np.arange(len(path)), path].sum()  # of the one best path
assert np.exp(along) <= free.confidence + 1e-6

# %% [markdown]
# If you know what form the answer has, give it: texts that do not fit are dropped on the way. The answer is
# the likeliest one of this form, never another.

# %%
for form in ({"length": 7}, {"pattern": r"\d,\d{6}"}, {"length": 5}):
    held = decode(logs, Constraint.make(**form))
    print(f"{form}: {held.text}  {held.confidence:.1%}")
assert sum(c in DIGITS for c in held.text) == 5

# %% [markdown]
# ## The same drawings
#
# The reader reads the forty drawings from above, and sixteen letters, where the tutorial's model can only
# name a digit.

# %%
read = np.array([reader.read(picture).text == str(c) for picture, c in zip(pictures, labels)])
letters = [glyph for glyph in load_glyphs() if glyph.label in set("AEFGHKMNPRTWXYadehkmnr")][::7][:16]
sheets = [canvas_picture(vary(glyph, rng), rng, style="black-on-white") for glyph in letters]
answers = [reader.read(sheet) for sheet in sheets]
named = tutorial.predict_proba(np.stack([naive(sheet) for sheet in sheets])).max(axis=1)
print(f"drawings: {right.mean():.0%} -> {read.mean():.0%}")
digits_seen = sum(bool(answer.digits) for answer in answers)
print(f"letters: the tutorial's model is up to {named.max():.0%} sure of a digit")
print(f"the reader finds a digit in {digits_seen} of {len(answers)}")
print("what it says of one of them:", next(a.troubles[0] for a in answers if not a.digits))
assert read.mean() > right.mean() + 0.2
assert digits_seen < len(answers) / 2

# %% [markdown]
# ## Your own hand
#
# Some hands are unlike all others. Here is one that writes as in a mirror; the reader misreads it.

# %%
from tenfold.reader.adapt import Example
from tenfold.synthesis.ink import Pen, draw_text
from tenfold.synthesis.sources import Hand

first = {glyph.label: glyph.strokes for glyph in glyphs[::-1]}
mirror = Hand("mine", {d: [tuple(stroke * (-1, 1) for stroke in first[d])] for d in DIGITS})
pen = Pen(width=0.1, slant=0, stretch=1, gap=0.25, gap_spread=0.03)
numbers = ["".join(rng.permutation(list(DIGITS))[:4]) for _ in range(12)]
inks = [draw_text(number, mirror, 40, pen, rng)[0] for number in numbers]
mine = [255 - np.pad(ink, 12) for ink in inks]
lesson.show_images(mine, [reader.read(line).text for line in mine], columns=4, size=1.3, cmap="gray")

# %% [markdown]
# A dozen labelled lines are enough: `tenfold adapt --labels mine.csv`. While it learns, the reader
# rehearses numbers and words by others, so that it forgets little of them. What it has learned is measured
# by cross-validation, on lines held out.

# %%
from tenfold.reader.adapt import AdaptSettings, adapt_reader
from tenfold.reader.adaptation import gather_memory

examples = [Example(number, number, (make_strip(line),)) for number, line in zip(numbers, mine)]
learned = adapt_reader(
    reader, examples, engine="numpy", memory=gather_memory(rehearsed=60, held=40),
    settings=AdaptSettings(steps=24, batch_size=8, folds=2),
)  # fmt: skip
old = learned.forgetting
print(f"digits held out: {learned.before.digit_accuracy:.0%} -> {learned.after.digit_accuracy:.0%}")
print(f"digits by others: {old.before.digit_accuracy:.0%} -> {old.after.digit_accuracy:.0%}")
assert learned.after.digits_right > learned.before.digits_right + 8
assert old.lost < 0.1

# %% [markdown]
# The command takes more steps and rehearses more, for a minute; and where the hand is not read better, or
# too much of the others is lost, it says so and writes nothing.
#
# ## The page
#
#     tenfold serve
#
# opens a page where you draw with mouse, pen or finger, or drop a photo, and see the reading as you
# write. It needs no network: the reader runs in the browser as well. `tenfold export reader --to web`
# writes the same page for any static host.
