"""Float32 matrix products by oneDNN in place of MKL, for the whole process.

torch hands float32 products on CPU to MKL, which on processors that are not Intel's keeps to AVX2; oneDNN, which torch
brings along for convolutions and bfloat16, uses AVX-512 wherever it is. The products of linear maps and of their
gradients are all `mm` and `addmm`, in compiled code with a place for the result, so these get other kernels, beneath
autograd and autocast.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

LEAST = 2**22
"""Multiplications of the smallest product that oneDNN is given: its call takes 11 µs more than MKL's, which is what a
core saves on so many."""

_library: torch.library.Library | None = None


def used() -> bool:
    """Whether this process's products are oneDNN's."""
    return _library is not None


def use(on: bool) -> bool:
    """Compute float32 products by oneDNN from now on, or as torch does; whether it is now so."""
    global _library
    if on and _library is None and torch.backends.mkldnn.is_available():
        _library = torch.library.Library("aten", "IMPL")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="(?s).*Overriding a previously registered kernel")
            for name, kernel in _OURS.items():
                _library.impl(name, kernel, "CPU")
    elif not on and _library is not None:
        _library._destroy()
        _library = None
    return on == (_library is not None)


def _mm(a: Tensor, b: Tensor) -> Tensor:
    """a·b, [rows, inner] by [inner, columns]."""
    return _product(a, b) if _takes(a, b) else _plain("mm", a, b)


def _mm_out(a: Tensor, b: Tensor, *, out: Tensor) -> Tensor:
    return out.copy_(_product(a, b)) if _takes(a, b) and _holds(out, a, b) else _plain("mm.out", a, b, out=out)


def _addmm(bias: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta·bias + alpha·a·b; bias [columns], or anything that spreads to the result."""
    if beta == 1 == alpha and _takes(a, b) and _adds(bias, b):
        return _product(a, b, bias)
    return _plain("addmm", bias, a, b, beta=beta, alpha=alpha)


def _addmm_out(bias: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1, out: Tensor) -> Tensor:
    if beta == 1 == alpha and _takes(a, b) and _adds(bias, b) and _holds(out, a, b):
        return out.copy_(_product(a, b, bias))
    return _plain("addmm.out", bias, a, b, beta=beta, alpha=alpha, out=out)


def _takes(a: Tensor, b: Tensor) -> bool:
    return (
        a.dtype is torch.float32 is b.dtype
        and a.dim() == 2 == b.dim()
        and a.shape[1] == b.shape[0]
        and a.shape[0] * b.numel() >= LEAST
    )


def _adds(bias: Tensor, b: Tensor) -> bool:
    return bias.dtype is torch.float32 and bias.shape == b.shape[1:]


def _holds(out: Tensor, a: Tensor, b: Tensor) -> bool:
    return out.dtype is torch.float32 and out.shape == (a.shape[0], b.shape[1])


def _product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    bias = None if bias is None else bias.contiguous()  # it is read as if it were
    return torch.ops.mkldnn._linear_pointwise.default(a, b.t(), bias, "none", [], "")


def _plain(name: str, *operands: Any, **how: Any) -> Tensor:
    """As torch does."""
    return _TORCHS[name].call_boxed(_CPU, *operands, **how)


_CPU = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)
_OURS = {"mm": _mm, "mm.out": _mm_out, "addmm": _addmm, "addmm.out": _addmm_out}
_TORCHS = {name: torch.library.get_kernel(f"aten::{name}", "CPU") for name in _OURS}
"""torch's own kernels, asked for before ours take their place."""
