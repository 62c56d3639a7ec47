import numpy as np
import pytest

from tenfold.arrays import ImageDataset

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from torch.utils.data import DataLoader, Subset  # noqa: E402

DATASET = ImageDataset(
    np.random.default_rng(0).integers(0, 256, (50, 6, 5), dtype=np.uint8), np.arange(50) % 3, ("a", "b", "c")
)


@pytest.mark.parametrize("wrap", [lambda dataset: dataset, lambda dataset: Subset(dataset, range(50))])
def test_a_data_loader_gives_every_image_once(wrap):
    generator = torch.Generator().manual_seed(0)
    batches = list(DataLoader(wrap(DATASET), batch_size=16, shuffle=True, generator=generator))
    images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    assert images.dtype == torch.uint8 and labels.dtype == torch.int64
    assert [len(batch[1]) for batch in batches] == [16, 16, 16, 2]
    seen = sorted((image.numpy().tobytes(), int(label)) for image, label in zip(images, labels))
    assert seen == sorted((image.tobytes(), int(label)) for image, label in DATASET)


def test_in_order():
    images, labels = next(iter(DataLoader(DATASET, batch_size=50)))
    np.testing.assert_array_equal(images.numpy(), DATASET.images)
    np.testing.assert_array_equal(labels.numpy(), DATASET.labels)


def test_what_torchvision_calls_them():
    assert DATASET.classes == ["a", "b", "c"]
    np.testing.assert_array_equal(DATASET.targets, DATASET.labels)
    image, label = DATASET[4]
    np.testing.assert_array_equal(image, DATASET.images[4])
    assert label == 1 and type(label) is int
    assert [label for _, label in DATASET.__getitems__([3, 4])] == [0, 1]
