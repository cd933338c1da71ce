"""What every loss asks of its arguments."""

from torch import Tensor


def same_shape(prediction: Tensor, target: Tensor) -> None:
    """Refuse what torch would broadcast: [batch] against [batch, 1] is [batch, batch], and learns nothing.

    Raises:
        ValueError: the shapes differ.
    """
    if prediction.shape != target.shape:
        raise ValueError(
            f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} must have the same shape: "
            "reshape one of them, target.view_as(prediction) if it holds as many numbers"
        )
