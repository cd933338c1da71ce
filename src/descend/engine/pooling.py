"""Max pooling over squares of two by two as three comparisons, for a compiler to fuse with what stands around them.

torch's kernel writes down where each maximum was, and its derivative walks over all of that; compiled code computes a
comparison anew where it needs one, together with the ReLU before and its derivative. Bits are the same: of numbers that
are alike, the first one row by row gets the gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_TWO = 2, (2, 2), [2, 2]


class Pairs(TorchFunctionMode):
    """Inside, `max_pool2d` is computed by `pool` where that takes it.

    >>> with Pairs():
    ...     y = network(x)
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in (functional.max_pool2d, torch.max_pool2d) and _takes(*args, **kwargs):
            return pool(args[0])
        return func(*args, **kwargs)


def pool(x: Tensor) -> Tensor:
    """The greatest of each two by two neighbours: [batch, channels, height, width] to [batch, channels, height/2,
    width/2], rounded down."""
    height, width = x.shape[2:]
    left, right = x[:, :, : height // 2 * 2, : width // 2 * 2].unflatten(3, (-1, 2)).unbind(4)
    upper, lower = _greater(left, right).unflatten(2, (-1, 2)).unbind(3)
    return _greater(upper, lower)


def _greater(first: Tensor, second: Tensor) -> Tensor:
    # NaN is what is not itself: compiled, `isnan` goes number by number.
    return torch.where((first >= second) | (first != first), first, second)


def _takes(
    x: Tensor,
    kernel_size: Any = None,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> bool:
    return (
        x.dim() == 4
        and min(x.shape[2:]) > 1
        and kernel_size in _TWO
        and (not stride or stride in _TWO)
        and padding in (0, (0, 0), [0, 0])
        and dilation in (1, (1, 1), [1, 1])
        and not (ceil_mode or return_indices)
    )
