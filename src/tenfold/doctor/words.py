"""What the doctor says of each finding: its title, why it hurts, and what fixes it."""

from __future__ import annotations

from tenfold.doctor.words_data import DATA_WORDS, Words

WORDS = DATA_WORDS | {
    # the recipe as it will run
    "schedule-early": Words(
        "learning rate over all steps",
        "The learning rate is next to nothing for most of the training",
        "Steps of a tiny rate change nothing, so the training is over long before its last epoch. "
        "Milestones from 1 on are counted in steps, not in epochs.",
        "Give milestones as shares of all steps (0.5, 0.75), or let the rate fall along a cosine.",
    ),
    "schedule-late": Words(
        "learning rate over all steps",
        "The learning rate is still rising when the training is nearly over",
        "A warm-up is meant for the first steps. One that lasts keeps the rate low while it should be "
        "high, and high when it should have fallen.",
        "Warm up over a tenth of the steps or less.",
    ),
    "schedule-grows": Words(
        "learning rate over all steps",
        "The schedule raises the learning rate above the one that is set",
        "optimiser.learning_rate is meant to be the largest; a rate that grows on while the loss is low "
        "overshoots, and undoes what was learned.",
        "Factors of at most 1: a rate that falls to 0 along a cosine.",
    ),
    "momentum-long": Words(
        "momentum against the number of steps",
        "Momentum averages over too many steps for this training",
        "With momentum m a step is the sum of some 1 / (1 - m) gradients: the rate is as many times "
        "larger, and old gradients dominate the direction. A short training ends before this "
        "evens out.",
        "Momentum 0.9, as usual.",
    ),
    "weights-frozen": Words(
        "weights that do not learn",
        "Untrained weights are frozen",
        "A group with the factor 0 keeps its random first weights: what comes after has to make do with "
        "them, and a frozen last layer learns nothing at all.",
        "Freeze layers only where network.start_from gives them learned weights, and never the last.",
    ),
    "output-cut": Words(
        "what follows the scores",
        "A {layer} follows the scores",
        "The scores of the classes must be free to be negative and large. A ReLU gives no gradient where "
        "a score is below 0, so that a class may never come back; a sigmoid or tanh keeps all "
        "probabilities alike; dropout removes answers by chance.",
        "End with the linear layer; softmax is part of the loss.",
    ),
    "bottleneck": Words(
        "width of the narrowest layer",
        "{layer} is too narrow for the number of classes",
        "Everything that is known of an image has to pass through the narrowest layer: n units with ReLU "
        "tell hardly more than 2 to the power of n classes apart.",
        "More units: at least as many as there are classes.",
    ),
    "no-activation": Words(
        "activations",
        "There is no activation between the layers",
        "Linear layers in a row can do no more than one linear layer.",
        "A ReLU after each layer but the last.",
    ),
    "batch-norm-few": Words(
        "values that batch-norm measures",
        "Batch norm has too few images per step to measure",
        "It subtracts the mean of the batch and divides by its spread. Of one image the mean is the image"
        " itself: nothing is left; of two or three mostly chance.",
        "Batches of 32 images or more, or no batch-norm.",
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
        "derivative along the gradient",
        "The gradient points the wrong way",
        "The loss rises where the gradient says that it falls: each step makes the network worse. Often y"
        " - p stands where p - y belongs.",
        "Change the sign of the gradient, or add where you subtract.",
    ),
    "gradient-sum": Words(
        "derivative along the gradient",
        "The gradient is summed over the batch, not averaged",
        "The length of a step then depends on the number of images in it: the learning rate fits one "
        "batch size only, and a full batch takes steps thousands of times too long.",
        "Average over the batch, and choose the learning rate anew.",
    ),
    "gradient-wrong": Words(
        "derivative along the gradient",
        "The gradient does not belong to this loss",
        "The loss changes by another amount than the gradient says, so the steps do not go where it falls"
        " fastest.",
        "Compare the gradient with finite differences (tenfold gradcheck).",
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
        "whether the loss rewards predicting no class",
        "The loss rewards predicting no class",
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
        "such as max z where z belongs, the rows do not sum to 1 and their logarithm is no "
        "log-likelihood.",
        "Divide exp(z - max z) by its own sum over the classes.",
    ),
    "softmax-overflow": Words(
        "softmax of large scores",
        "The softmax overflows",
        "exp(1000) is infinite, and infinite over infinite is NaN: one confident answer ends the "
        "training.",
        "Subtract the largest score of each row first; it changes nothing else.",
    ),
    "pictures-missing": Words(
        "a picture of each class's weights",
        "The weights of some classes are not shown",
        "What is not shown cannot be checked: range(1, 10) counts nine of ten classes.",
        "One picture per row of the weights.",
    ),
    # the start
    "saturated": Words(
        "saturated units at the start",
        "{layer} is saturated before training begins",
        "Far from 0 a sigmoid or tanh is flat: its derivative, and with it every gradient through it, is "
        "nearly 0 (Glorot & Bengio 2010). Units that start there stay there.",
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
        "The gradient explodes towards the first layers",
        "Each layer passes on more than it gets, so the first layers take steps that are far too long, or"
        " overflow.",
        "First weights with a spread of sqrt(2 / inputs), made for ReLU (He et al. 2015).",
    ),
    # learning
    "rate-too-large": Words(
        "learning rate",
        "The learning rate is too large",
        "The steps overshoot the minimum: the loss oscillates or grows, and ReLUs may die.",
        "Take the rate at which the loss falls fastest in the range test (Smith 2017), and let it fall to"
        " 0; momentum speeds up plain descent.",
    ),
    "rate-too-small": Words(
        "learning rate",
        "The learning rate is too small for this number of steps",
        "Each step changes next to nothing, so the training ends long before the minimum.",
        "Take the rate at which the loss falls fastest in the range test (Smith 2017), and let it fall to"
        " 0; momentum speeds up plain descent.",
    ),
    "steps-few": Words(
        "number of steps",
        "The training ends after too few steps",
        "Each step moves the weights a little. Few epochs, few images, or batches as large as the data "
        "make few steps.",
        "More epochs (training.epochs, training.min_steps), or smaller batches.",
    ),
    "not-finite": Words(
        "losses that are finite",
        "The loss is NaN or infinite",
        "Once one weight has overflowed, every answer is NaN, and no step leads back.",
        "Clip the gradients; if that does not help, look for images or weights that are NaN or infinite.",
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
        "Dropout is against overfitting. A network that does not even learn its training images "
        "needs the opposite.",
        "Drop fewer units; first without, then as many as improve the validation loss.",
    ),
    "augmentation-strong": Words(
        "what augmentation costs",
        "The images are changed so much that the network under-fits",
        "An image that nobody can read teaches nothing.",
        "Change them less: look at some (tenfold data show), you should still read all of them.",
    ),
    "clipping-strong": Words(
        "what clipping costs",
        "Gradients are clipped so short that nothing is learned",
        "Clipping should cut rare outliers. A limit far below the usual length shortens every step.",
        "A limit of about 1.",
    ),
    "smoothing-strong": Words(
        "what smoothed labels cost",
        "The labels are smoothed so much that they say little",
        "With a share s of each target spread over all classes only 1 - s is left for the true one.",
        "0.1 or less.",
    ),
    "decay-strong": Words(
        "what weight decay costs",
        "Weight decay pulls harder than the images do",
        "At each step the weights shrink faster than the gradient can build them up; they end near 0, and"
        " so do the answers.",
        "A hundredth of it, or none.",
    ),
    "cannot-overfit": Words(
        "sixteen images memorised",
        "The network cannot memorise sixteen images",
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
    "diverged": Words(
        "training loss from the first epoch to the last",
        "The training diverged",
        "The training loss rose instead of falling: the steps are too long for this network, or something"
        " in the data drives them apart.",
        "A smaller learning rate (a third, then a tenth), gradients clipped (optimiser.clip_norm = 1), "
        "and what else was found.",
    ),
    "over-fitting": Words(
        "validation loss against training loss",
        "The run overfitted at the end",
        "While the training loss went on falling, the validation loss rose: what was learned since then "
        "does not carry over.",
        "Stop at the best epoch and keep its weights; more images, augmentation or dropout postpone it.",
    ),
    "plateau": Words(
        "progress of the training loss",
        "The run is on a plateau",
        "The training loss itself no longer falls, and it is high: this is not over-fitting, the network "
        "cannot or does not learn.",
        "Fix what else was found; then a larger network, or a learning rate that falls.",
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
