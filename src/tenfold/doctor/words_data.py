"""What the doctor says of findings in the data, and the form of all that it says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """check: what was looked at, a few words. title: a sentence. why, remedy: plain words; braces are
    filled with what was measured."""

    check: str
    title: str
    why: str
    remedy: str


DATA_WORDS = {
    "class-missing": Words(
        "images of each class",
        "There are no images of {names}",
        "A network cannot learn a class that it never sees, yet it keeps an output for it. An empty first"
        " class often means that the labels count from 1 where they should count from 0.",
        "Check how the labels are numbered, or leave the class out.",
    ),
    "class-imbalance": Words(
        "balance of the classes",
        "The classes are far from equally frequent",
        "Always answering with the most frequent class is then right so often that the network is "
        "rewarded for ignoring the rare ones, and the accuracy hides it.",
        "Collect more of the rare classes or take fewer of the frequent ones, and judge by the recall of "
        "each class, not by the accuracy alone.",
    ),
    "constant-images": Words(
        "images with nothing on them",
        "Some images are one flat colour",
        "Nothing can be learned from an empty picture but its label: the network learns to guess.",
        "Look at how the pictures are read; a failed conversion often leaves them all black.",
    ),
    "pixels-wrapped": Words(
        "pixels that overflowed",
        "Pixels of the {part} images ran over 255 and began again at 0",
        "In eight bits 250 + 10 is 4: what should be brightest becomes black. NumPy does this to uint8 "
        "without a word when images are multiplied or brightened.",
        "Convert to float or int16 before the arithmetic, and clip to 0..255 before converting back: "
        "np.clip(images.astype(float) * 2, 0, 255).astype(np.uint8).",
    ),
    "order-sorted": Words(
        "order of the training images",
        "The training images are sorted by class and are not shuffled",
        "Each step then sees one class or a few, and unlearns the others: the network ends with what it "
        "saw last.",
        "Shuffle the images anew every epoch.",
    ),
    "labels-noisy": Words(
        "labels against those of similar images",
        "Many labels seem to be wrong",
        "Wrong labels pull the network in all directions: it learns more slowly, memorises them when it "
        "trains long, and its measured accuracy cannot exceed the share of right ones.",
        "Look at the images whose label the network doubts (tenfold label-errors), correct them, and find"
        " out how they came to be labelled.",
    ),
    "validation-leak": Words(
        "validation images among those learned from",
        "Copies of validation images are learned from",
        "Validation images are drawn from the training images. Where images occur twice, copies come to "
        "both sides, and the validation accuracy says how well the network remembers.",
        "Remove the copies; use augmentation where you want more images.",
    ),
    "validation-large": Words(
        "images to validate on",
        "Most images are held out",
        "What is held out is not learned from.",
        "Hold out a fifth, or use folds.",
    ),
    "test-frame": Words(
        "size and classes of the test images",
        "The test images have other classes or another size than the training images",
        "A label is a place in the list of classes: with another list, or another order of it, the same "
        "label means another class.",
        "Prepare both in the same way, with the same list of classes in the same order.",
    ),
    "test-balance": Words(
        "classes of the test images",
        "The test images have other shares of the classes than the training images",
        "The accuracy on them then says little of the rare classes, and nothing of those that are "
        "missing. Often the images were sorted before they were split.",
        "Shuffle before you split, and give each class its share (stratified).",
    ),
    "test-turned": Words(
        "orientation of the test images",
        "The test images are not turned and placed as the training images are",
        "The network has learned shapes in one orientation and place, and meets them in another. They "
        "agree best once {how}.",
        "Read both with the same code; look at some of each (tenfold data show).",
    ),
    "test-labels": Words(
        "test labels and images",
        "The test labels do not belong to the test images",
        "The test images look like the training images, but their labels are others than those of similar"
        " training images. Images and labels have probably been sorted or shuffled apart. Any network, "
        "however good, then scores low.",
        "Look at some test images with their labels (tenfold data show), and restore the order.",
    ),
    "test-differs": Words(
        "test labels and images",
        "The test images are of another kind than the training images",
        "They are less like the training images than images held out are: another source, pen, scale or "
        "preparation. The validation accuracy then promises too much.",
        "Prepare both in the same way, and train on images like those that will come.",
    ),
    "test-renamed": Words(
        "classes of the test labels",
        "Some classes are exchanged in the test labels",
        "The list of classes had another order when the test images were labelled, such as 1, 10, 2 in "
        "place of 1, 2, 10. Every image of these classes counts as wrong.",
        "Number the classes from one list, for training and test.",
    ),
    "test-leak": Words(
        "test images among the training images",
        "Test images stand among the training images",
        "The network has seen the answers: its score on the test set says how well it remembers, not how "
        "well it reads new images.",
        "Take the copies out of the training images, and split before you copy or augment.",
    ),
    "test-inverted": Words(
        "polarity of the test images",
        "The test images are the negative of the training images",
        "White ink on black in one, black on white in the other: whatever the network has learned, it "
        "meets the opposite.",
        "Turn one of them round (255 - pixel), so that the ink has the same brightness in both.",
    ),
    "test-scale": Words(
        "contrast of the test images",
        "The test images have another range of pixels than the training images",
        "A network that learned from pixels of one range sees nothing, or far too much, in pixels of "
        "another.",
        "Bring both to the range 0..255 before they are saved.",
    ),
    "labels-shifted": Words(
        "numbering of the labels",
        "The labels of the {part} images are off by {shift}",
        "Every answer is then counted as wrong although the network reads well: the commonest cause is "
        "counting from 1 in one place and from 0 in another.",
        "Renumber the labels of the {part} images.",
    ),
    "labels-random": Words(
        "true labels against shuffled ones",
        "The labels do not seem to belong to the images",
        "The network can memorise images, yet it learns from these labels no better than from the "
        "same labels in a random order. Images and labels have probably been sorted or shuffled apart.",
        "Look at some images with their labels (tenfold data show), and fix the order.",
    ),
    "validation-small": Words(
        "images to validate on",
        "Too few images are held out",
        "On so few images chance moves the accuracy by several points, and the best epoch is a matter of "
        "luck.",
        "Hold out more (data.validation), or use folds.",
    ),
    "validation-none": Words(
        "images to validate on",
        "No images are held out",
        "Without validation images overfitting stays unseen, and a test set that is used to choose gives "
        "no unbiased accuracy at the end.",
        "Hold out some of the training images.",
    ),
    "validation-augmented": Words(
        "validation images as they are",
        "The validation images are augmented",
        "The figure then says how well distorted images are read, not the images that will come.",
        "Validate on images as they are.",
    ),
}  # fmt: skip
