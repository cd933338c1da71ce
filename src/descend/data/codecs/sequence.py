"""Rows of numbers, step by step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from descend.data.codecs.codec import Codec
from descend.data.errors import BadData


class SequenceCodec(Codec):
    """A row [steps, width] as ``x``, of any number of steps; the answer is a list of numbers.

    Args: width: numbers a step.
    """

    def __init__(self, width: int):
        self.width = width

    def encode(self, raw: Any) -> dict[str, Tensor]:
        try:
            x = torch.as_tensor(raw, dtype=torch.float32)
        except (TypeError, ValueError, RuntimeError) as error:
            raise BadData(f"a row is a list of steps of {self.width} numbers each; {error}") from None
        if x.ndim != 2 or x.shape[1] != self.width or not len(x):
            raise BadData(f"a row is a list of steps of {self.width} numbers each; this one is {tuple(x.shape)}")
        return {"x": x}

    def decode(self, output: Tensor) -> dict[str, Any]:
        """``values``: what was answered."""
        return {"values": output.tolist()}
