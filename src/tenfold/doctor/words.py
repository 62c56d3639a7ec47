"""What the doctor says of each finding: its title, why it hurts, and what mends it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["WORDS", "Words"]


@dataclass(frozen=True)
class Words:
    """check: what was looked at, a few words. title: a sentence. why, remedy: plain words; braces are
    filled with what was measured."""

    check: str
    title: str
    why: str
    remedy: str


WORDS = {
    # the data
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
        "The network can learn images by heart, yet it learns from these labels no better than from the "
        "same labels in a random order. Images and labels have probably been sorted or shuffled apart.",
        "Look at some images with their labels (tenfold data show), and mend the order.",
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
        "Without validation images nobody sees over-fitting, and whoever then looks at the test set to "
        "choose has no honest figure left at the end.",
        "Hold out some of the training images.",
    ),
    "validation-augmented": Words(
        "validation images as they are",
        "The validation images are augmented",
        "The figure then says how well distorted images are read, not the images that will come.",
        "Validate on images as they are.",
    ),
    # inputs, loss, gradients
    "inputs-unscaled": Words(
        "scale of the inputs",
        "The pixels are not scaled",
        "Inputs should have a mean near 0 and a spread near 1 (LeCun et al. 1998, Efficient BackProp). "
        "With large ones the first layer's sums and gradients are as many times too large, and no "
        "learning rate suits weights and biases alike.",
        "Scale the pixels.",
    ),
    "inputs-tiny": Words(
        "scale of the inputs",
        "The inputs hardly differ from each other",
        "Scaled twice, or saved as 0 and 1 instead of 0 and 255: the network sees almost the same picture"
        " each time, and its first layer learns almost nothing.",
        "Take the mean and the spread of these very images.",
    ),
    "gradient-sign": Words(
        "slope along the gradient",
        "The gradient points the wrong way",
        "The loss rises where the gradient says that it falls: each step makes the network worse. Often y"
        " - p stands where p - y belongs.",
        "Turn the sign of the gradient round, or add where you subtract.",
    ),
    "gradient-sum": Words(
        "slope along the gradient",
        "The gradient is summed over the batch, not averaged",
        "The length of a step then depends on the number of images in it: the learning rate fits one "
        "batch size only, and a full batch takes steps thousands of times too long.",
        "Average over the batch, and choose the learning rate anew.",
    ),
    "gradient-wrong": Words(
        "slope along the gradient",
        "The gradient does not belong to this loss",
        "The loss changes by another amount than the gradient says, so the steps do not go where it falls"
        " fastest.",
        "Compare the derivative with finite differences (tenfold gradcheck).",
    ),
    "columns-shifted": Words(
        "column of each class",
        "Each class sits in a neighbour's column (shifted by {shift})",
        "Harmless to the accuracy while everybody remembers to shift back; wrong the first time that "
        "somebody decodes an answer by its column. The one-hot vector of class c has its 1 in column c.",
        "Put class c into column c.",
    ),
    "bias-rate": Words(
        "steps of biases against weights",
        "Biases learn at another rate than the weights beside them",
        "A rate of their own for the biases usually covers up for unscaled inputs. With scaled ones it "
        "only makes the biases late.",
        "One learning rate for both.",
    ),
    "loss-trap": Words(
        "whether the loss rewards saying nothing",
        "The loss rewards the answer that nothing is any class",
        "Of K outputs K - 1 should be 0 for every image, so pushing all of them to 0 wins nearly "
        "everything without a look at the image. There the sigmoids are flat and the gradient is gone: "
        "nothing leads out again.",
        "Softmax with cross-entropy: the probabilities share one sum, so one of them has to rise, and the"
        " gradient p - y does not vanish while the answer is wrong.",
    ),
    # code of one's own
    "softmax-wrong": Words(
        "softmax",
        "The softmax does not give probabilities",
        "Each row has to be exp(z - max z) over the sum of the same. With anything else below the line, "
        "such as max z where z belongs, the rows do not sum to 1 and their logarithm is no log-likelihood.",
        "Divide exp(z - max z) by its own sum over the classes.",
    ),
    "softmax-overflow": Words(
        "softmax of large scores",
        "The softmax overflows",
        "exp(1000) is infinite, and infinite over infinite is no number: one confident answer ends the "
        "training.",
        "Subtract the largest score of each row first; it changes nothing else.",
    ),
    "pictures-missing": Words(
        "a picture of each class's weights",
        "The weights of some classes are not shown",
        "What is not shown cannot be checked: range(1, 10) counts nine of ten classes.",
        "One picture a row of the weights.",
    ),
    # the start
    "saturated": Words(
        "saturated units at the start",
        "{layer} is saturated before training begins",
        "Far from 0 a sigmoid or tanh is flat: its slope, and with it every gradient that has to pass, is"
        " nearly 0 (Glorot & Bengio 2010). What starts there stays there.",
        "Smaller first weights, whose spread goes with 1 / sqrt(number of inputs).",
    ),
    "start-loss": Words(
        "loss at the start",
        "The first loss is much larger than that of guessing",
        "A network that knows nothing should give all classes the same probability, a loss of ln(classes)"
        " (Karpathy 2019). This one is confidently wrong from the start, and its first epochs are spent "
        "on unlearning.",
        "Smaller first weights, whose spread goes with 1 / sqrt(number of inputs).",
    ),
    "vanishing-gradients": Words(
        "gradients from the last layer to the first",
        "The gradient vanishes on its way to the first layers",
        "Each layer passes on less than it gets: a sigmoid at most a quarter. The first layers then stay "
        "as they were drawn (Glorot & Bengio 2010; He et al. 2015).",
        "{remedy}",
    ),
    "exploding-gradients": Words(
        "gradients from the last layer to the first",
        "The gradient explodes on its way to the first layers",
        "Each layer passes on more than it gets, so the first layers take steps that are far too long, or"
        " overflow.",
        "First weights with a spread of sqrt(2 / inputs), made for ReLU (He et al. 2015).",
    ),
    # learning
    "rate-too-large": Words(
        "learning rate",
        "The learning rate is too large",
        "The steps jump over the valley: the loss swings or grows instead of falling, and ReLUs may die.",
        "Take the rate at which the loss falls fastest in the range test (Smith 2017), and let it fall "
        "to 0; momentum carries plain descent along.",
    ),
    "rate-too-small": Words(
        "learning rate",
        "The learning rate is too small for this number of steps",
        "Each step changes next to nothing, so the training ends long before the valley's floor.",
        "Take the rate at which the loss falls fastest in the range test (Smith 2017), and let it fall "
        "to 0; momentum carries plain descent along.",
    ),
    "not-finite": Words(
        "losses that are numbers",
        "The loss is no number any more",
        "Once one weight has overflowed, every answer is NaN, and no step leads back.",
        "Clip the gradients; if that does not help, look for images or weights that are no numbers.",
    ),
    "dead-relu": Words(
        "ReLUs that never fire",
        "{layer} is mostly dead",
        "A ReLU that is 0 for every image gets no gradient and never comes back: the layer is narrower "
        "than it looks.",
        "First weights made for ReLU and a smaller learning rate; if they die later, try batch-norm "
        "before it.",
    ),
    "dropout-strong": Words(
        "what dropout costs",
        "Dropout hides so much that the network under-fits",
        "Dropout is against learning by heart. A network that does not even learn its training images "
        "needs the opposite.",
        "Drop fewer units; first without, then as many as the validation loss thanks for.",
    ),
    "augmentation-strong": Words(
        "what augmentation costs",
        "The images are changed so much that the network under-fits",
        "An image that nobody could read any more teaches nothing.",
        "Change them less: look at some (tenfold data show), you should still read all of them.",
    ),
    "decay-strong": Words(
        "what weight decay costs",
        "Weight decay pulls harder than the images do",
        "At each step the weights shrink faster than the gradient can build them up; they end near 0, and"
        " so do the answers.",
        "A hundredth of it, or none.",
    ),
    "cannot-overfit": Words(
        "sixteen images learned by heart",
        "The network cannot learn sixteen images by heart",
        "Any sound network can (Karpathy 2019). Something between pixels and loss does not work, though "
        "none of the other checks says what.",
        "Give it more units, and check its layers: is something in the way of images or gradients?",
    ),
    "ignores-input": Words(
        "true images against black ones",
        "The network learns no more from the images than from black ones",
        "What it has learned is how frequent the classes are, which no look at an image is needed for "
        "(Karpathy 2019).",
        "Give it more units, and check its layers: is something in the way of images or gradients?",
    ),
    # a run's history
    "over-fitting": Words(
        "validation loss against training loss",
        "The run learned by heart at the end",
        "While the training loss went on falling, the validation loss rose: what was learned since then "
        "does not carry over.",
        "Stop at the best epoch and keep its weights; more images, augmentation or dropout postpone it.",
    ),
    "plateau": Words(
        "progress of the training loss",
        "The run stands on a plateau",
        "The training loss itself no longer falls, and it is high: this is not over-fitting, the network "
        "cannot or does not learn.",
        "Mend what else was found; then a larger network, or a learning rate that falls.",
    ),
    "unfinished": Words(
        "validation loss at the end",
        "The run ended while it was still getting better",
        "The validation loss was still falling at the last epoch: more would have come.",
        "Train longer, or with a larger learning rate that falls to 0.",
    ),
    "claim": Words(
        "accuracy that is claimed",
        "The recipe claims more than its run reaches",
        "A figure that its own run does not give is a mistake in the report, or a fault in the training.",
        "Report what was measured, with its interval; or find what differs.",
    ),
}  # fmt: skip
