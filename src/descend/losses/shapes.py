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


def class_numbers(logits: Tensor, target: Tensor) -> Tensor:
    """The target as torch indexes by it, int64, once its shape is that of logits [batch, classes, *places] without
    the classes.

    Raises:
        ValueError: it is not.
    """
    expected = (*logits.shape[:1], *logits.shape[2:])
    if target.shape != expected:
        raise ValueError(
            f"logits {tuple(logits.shape)} hold a number a class on axis 1, so the target must hold one class number "
            f"at each of {tuple(expected)}, not {tuple(target.shape)}: target.squeeze(1) takes an axis of 1 away, "
            "target.argmax(1) makes class numbers of one-hot rows"
        )
    return target.long()


def one_class_each(samples: Tensor, target: Tensor) -> None:
    """Refuse targets that are not one class number for each row of samples [batch, width].

    Raises:
        ValueError: they are not.
    """
    if target.shape != samples.shape[:1]:
        raise ValueError(
            f"samples {tuple(samples.shape)} hold a row each, so the target must hold one class number for each of "
            f"{len(samples)}, not {tuple(target.shape)}: target.squeeze(1) takes an axis of 1 away"
        )
