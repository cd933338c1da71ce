"""Pictures in another size by cubic curves (Keys 1981, a = -1/2), widened where a picture shrinks so that nothing finer
than its new pixels is left: what MATLAB's imresize does, and what published scores of super-resolution mean by bicubic.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def bicubic(
    x: Float[Tensor, "batch channels height width"], height: int, width: int
) -> Float[Tensor, "batch channels rows columns"]:
    """The pictures, ``height`` × ``width`` pixels large; values may leave 0 … 1 at sharp edges."""
    # torch's own curve has a = -3/4 unless it is asked to smooth, and smooths in half precision on no processor.
    wide = x if x.dtype in (torch.float32, torch.float64) else x.float()
    return functional.interpolate(wide, (height, width), mode="bicubic", antialias=True).to(x.dtype)
