"""The gradient of every sample's own loss, clipped by its own norm, summed: in one forward and one backward pass.

With L_i the loss of the batch of sample i alone, and g_i its gradient over all parameters,

    sums = Σ_i clip(‖g_i‖) · g_i.

The forward pass runs once under ``vmap``, which gives the vector of the L_i themselves: whatever a loss counts or
weighs, it counts for one sample, and nothing in it can mix two. No g_i need be built for a layer whose gradient
factors: a linear map with input a_i and output gradient b_i has g_i = b_iᵀ·a_i, so that (Goodfellow 2015, eq. 4; over
T positions, Li et al. 2022, section 4)

    ‖g_i‖² = Σ_st (a_is · a_it)(b_is · b_it),    Σ_i f_i·g_i = (f·b)ᵀ·a        (Bu et al. 2022: no second backward).

So the parameters are of two kinds. Those of Linear, Conv1d, Conv2d and Embedding modules are *tapped*: inputs and
output gradients are caught where the module is called, any number of times. All others are *spread*: the forward pass
is given one copy of them a sample, and the copies' gradients are the g_i. Last, the loss is asked for its gradient by
the parameters themselves: there must be none, or one was used where neither tap nor copy could see it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.func import debug_unwrap, functional_call, vmap
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _BatchNorm

from descend.functional.mean import Mean
from descend.functional.pieces import Affine, Piece, Stack, Table, merged, piece_of


def clipped_gradients(
    loss: Callable[[Any], Mean],
    modules: Sequence[nn.Module],
    parameters: Sequence[nn.Parameter],
    batch: Any,
    clip: Callable[[Float[Tensor, "n"]], Float[Tensor, "n"]],
) -> tuple[list[Tensor], Float[Tensor, "n"], Float[Tensor, ""]]:
    """Σ_i clip(‖g_i‖) · g_i, equal to a loop over the samples.

    A loss that vmap cannot run (it branches on numbers, calls an LSTM's kernel, or its batch is no stack of rows) is
    looped over instead, with a warning that says why; that is slow and holds every g_i.

    Args:
        loss: of a batch, as a `Mean`. It is called with batches of one, all of them at once.
        modules: those that own the parameters.
        parameters: by which the gradient is taken.
        batch: ``len(batch)`` samples, in tensors whose first axis counts them, or with a ``split`` of its own.
        clip: from all samples' norms to the factors of their gradients.

    Returns:
        One sum a parameter (zero where the loss does not reach), the norms, and Σ_i L_i, detached.

    Raises:
        ValueError: a module mixes samples (batch norm in training mode), so that no sample has a gradient of its own.
    """
    pieces, losses = _pieces_and_losses(loss, _Owned.of(modules, parameters), batch)
    with _exact(losses):
        squares = torch.zeros_like(losses)
        for piece in pieces:
            squares += piece.squares()
        # A sum of products that cancel may end a rounding below zero.
        norms = squares.clamp(min=0).sqrt()
        factors = clip(norms)
        sums = {key: total for piece in pieces for key, total in piece.weighted(factors).items()}
        found = [sums[id(p)].view(p.shape) if id(p) in sums else torch.zeros_like(p) for p in parameters]
    return found, norms, losses.sum()


@dataclass
class _Owned:
    """The wanted parameters, by id; the modules tapped for some of them; the others, by name.

    ``in_place``: a module overwrites what it is given, so what a tapped module returns may have to be a copy.
    """

    modules: Sequence[nn.Module]
    parameters: dict[int, nn.Parameter]
    tapped: list[nn.Module] = field(default_factory=list)
    spread: dict[str, nn.Parameter] = field(default_factory=dict)
    compiled: list[nn.Module] = field(default_factory=list)
    in_place: bool = False

    @classmethod
    def of(
        cls, modules: Sequence[nn.Module], parameters: Sequence[nn.Parameter], apart: frozenset[int] = frozenset()
    ) -> _Owned:
        """Taps what it can; the parameters with their id in ``apart`` are spread."""
        owned = cls(modules, {id(p): p for p in parameters})
        owners: dict[int, int] = {}
        held: dict[nn.Module, list[int]] = {}
        for module in (module for root in modules for module in root.modules()):
            if module in held:
                continue
            if isinstance(module, _BatchNorm) and module.training:
                raise ValueError(
                    f"per-sample gradients need samples that do not meet, and {type(module).__name__} in training mode "
                    f"mixes the batch: use GroupNorm({max(module.num_features // 4, 1)}, {module.num_features})"
                )
            owned.in_place |= getattr(module, "inplace", False)
            if module._compiled_call_impl is not None:
                owned.compiled.append(module)
            held[module] = [id(p) for p in module._parameters.values() if id(p) in owned.parameters]
            for key in held[module]:
                owners[key] = owners.get(key, 0) + 1
        seen: set[int] = set()
        for module, keys in held.items():
            if keys and _can_tap(module) and all(owners[key] == 1 and key not in apart for key in keys):
                owned.tapped.append(module)
                seen.update(keys)
        if len(seen) < len(owned.parameters):
            names = nn.ModuleList(modules).named_parameters(prefix="roots")
            owned.spread = {name: p for name, p in names if id(p) in owned.parameters and id(p) not in seen}
        return owned


class _Seen(NamedTuple):
    """A tensor inside vmap: its shape there, and the tensor of all samples beneath it."""

    shape: torch.Size
    all: Tensor
    shared: bool
    nested: bool
    version: int

    @classmethod
    def of(cls, tensor: Tensor) -> _Seen:
        beneath = debug_unwrap(tensor)
        nested = debug_unwrap(tensor, recurse=False) is not beneath
        return cls(tensor.shape, beneath, beneath is tensor, nested, beneath._version)

    def by_sample(self, n: int) -> Tensor | None:
        """The tensor with samples along its first axis; None where vmap put them along another (or may have: two axes
        of one length look the same), or another transform lies between."""
        if self.shared:
            return self.all.expand(n, *self.shape)
        first = self.all.shape == (n, *self.shape) and (n == 1 or self.shape[:1] != (n,))
        return self.all if first and not self.nested else None

    @property
    def changed(self) -> bool:
        return self.all._version != self.version


class _Call(NamedTuple):
    """One call of a tapped module."""

    module: nn.Module
    x: _Seen
    y: _Seen
    edge: GradientEdge


class _Taps:
    """Inside it, the modules' forwards are watched.

    They compute with copies of their parameters, so that an original's gradient shows a use that was not seen.
    """

    anchor: Tensor

    def __init__(self, owned: _Owned):
        self.modules = owned.tapped
        self.in_place = owned.in_place
        # Compiled code has no calls to watch, and a changed forward would be compiled anew at every step.
        self.compiled = [(module, module._compiled_call_impl) for module in owned.compiled]
        self.calls: list[_Call] = []

    def __enter__(self) -> _Taps:
        for module, _ in self.compiled:
            module._compiled_call_impl = None
        for module in self.modules:
            own = {name: p.detach().requires_grad_() for name, p in module._parameters.items() if p is not None}
            module.forward = self._watched(module, **own)
        return self

    def __exit__(self, *error: object) -> None:
        for module in self.modules:
            del module.forward
        for module, compiled in self.compiled:
            module._compiled_call_impl = compiled

    def _watched(self, module: nn.Module, weight: Tensor, bias: Tensor | None = None) -> Callable[[Tensor], Tensor]:
        def forward(input: Tensor) -> Tensor:
            if isinstance(module, nn.Linear):
                y = functional.linear(input, weight, bias)
            elif isinstance(module, nn.Embedding):
                y = functional.embedding(input, weight, module.padding_idx)
            else:
                y = module._conv_forward(input, weight, bias)  # type: ignore[operator]
            seen = _Seen.of(y)
            if seen.shared:
                # Nothing of the sample reaches it (positions): a zero of each sample's own tells the gradients apart.
                y = y + self.anchor.to(y.dtype)
                seen = _Seen.of(y)
            elif self.in_place and seen.all._is_view():
                # A change in place of a view rewrites the history of what it views, and the edge below leads nowhere.
                y = y.clone()
                seen = _Seen.of(y)
            if seen.all.requires_grad:
                # The edge, not the tensor: an activation in place would put its own gradient there.
                self.calls.append(_Call(module, _Seen.of(input), seen, get_gradient_edge(seen.all)))
            return y

        return forward


class _Whole(nn.Module):
    """The loss as a module of all its modules, so that `functional_call` can exchange their parameters."""

    def __init__(self, roots: Sequence[nn.Module], loss: Callable[[Any], Mean]):
        super().__init__()
        self.roots = nn.ModuleList(roots)
        self.loss = loss

    def forward(self, batch: Any) -> Tensor:
        return self.loss(batch).value()


def _pieces_and_losses(
    loss: Callable[[Any], Mean], owned: _Owned, batch: Any
) -> tuple[list[Piece], Float[Tensor, "n"]]:
    why = f"{type(batch).__name__} is no stack of rows"
    for _ in range(2 if _is_stack(batch) else 0):
        try:
            pieces, losses, astray = _mapped(loss, owned, batch)
        except RuntimeError as error:
            why = str(error).strip().splitlines()[0]
            break
        if not astray:
            return pieces, losses
        why = "a parameter is used by something other than its own module's forward"
        owned = _Owned.of(owned.modules, [*owned.parameters.values()], astray)
    warnings.warn(f"per-sample gradients are computed one sample at a time, slowly: {why}", stacklevel=4)
    return _looped(loss, owned, batch)


def _mapped(
    loss: Callable[[Any], Mean], owned: _Owned, batch: Any
) -> tuple[list[Piece], Float[Tensor, "n"], frozenset[int]]:
    """All samples at once. The third result are the ids of parameters that were used unseen."""
    n, kind = len(batch), type(batch)
    parameters = list(owned.parameters.values())
    # One storage, n views of it: the copies cost nothing, their gradients do.
    copies = {name: p.detach().expand(n, *p.shape).requires_grad_() for name, p in owned.spread.items()}

    def one(sample: dict[str, Tensor], own: dict[str, Tensor], anchor: Tensor) -> Tensor:
        taps.anchor = anchor
        alone = kind({name: tensor.unsqueeze(0) for name, tensor in sample.items()})
        return functional_call(_Whole(owned.modules, loss), own, (alone,)) if own else loss(alone).value()

    # Of torch's attention kernels only the plain one runs under vmap without falling back to a loop.
    with _Taps(owned) as taps, sdpa_kernel(SDPBackend.MATH):
        losses = vmap(one, randomness="different")(dict(batch), copies, parameters[0].new_zeros(n))

    edges = [call.edge for call in taps.calls]
    flows, spread, direct = _gradients(losses, edges, list(copies.values()), parameters)
    astray = {id(p) for p, gradient in zip(parameters, direct, strict=True) if gradient is not None}
    pieces: list[Piece] = [
        Stack(id(p), gradient.reshape(n, -1))
        for p, gradient in zip(owned.spread.values(), spread, strict=True)
        if gradient is not None
    ]
    uses: dict[nn.Module, list[Affine | Table]] = {}
    for call, flow in zip(taps.calls, flows, strict=True):
        keys = {name: id(p) for name, p in call.module._parameters.items() if id(p) in owned.parameters}
        if call.x.changed:
            raise RuntimeError(f"the input of {call.module} was changed in place after its use")
        x, y = call.x.by_sample(n), call.y.by_sample(n)
        if x is None or y is None or (call.y.changed and y._is_view()):
            astray |= set(keys.values())
        elif flow is not None:
            uses.setdefault(call.module, []).append(piece_of(call.module, keys, x, flow))
    pieces += [piece for some in uses.values() for piece in merged(some)]
    return pieces, losses.detach(), frozenset(astray)


def _looped(loss: Callable[[Any], Mean], owned: _Owned, batch: Any) -> tuple[list[Piece], Float[Tensor, "n"]]:
    """One forward and backward a sample."""
    parameters = list(owned.parameters.values())
    rows, losses = [], []
    for sample in batch.split(len(batch)):
        value = loss(sample).value()
        (found,) = _gradients(value, parameters)
        rows.append([torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)])
        losses.append(value.detach())
    columns = zip(parameters, zip(*rows, strict=True), strict=True)
    return [Stack(id(p), torch.stack(column).flatten(1)) for p, column in columns], torch.stack(losses)


def _gradients(losses: Tensor, *asked: Sequence[Tensor | GradientEdge]) -> list[list[Tensor | None]]:
    """Of the sum of the losses, by each list; None where it does not reach."""
    everything: list[Any] = [one for some in asked for one in some]
    found: Sequence[Tensor | None] = [None] * len(everything)
    if losses.requires_grad:
        with _exact(losses):
            found = torch.autograd.grad(losses.sum(), everything, allow_unused=True)
    rest = iter(found)
    return [[next(rest) for _ in some] for some in asked]


def _can_tap(module: nn.Module) -> bool:
    """Exact types: a subclass may use its weight in ways of its own."""
    if "forward" in vars(module):
        return False
    if isinstance(module, (nn.Conv1d, nn.Conv2d)) and type(module) in (nn.Conv1d, nn.Conv2d):
        return module.groups == 1 and module.padding_mode == "zeros" and not isinstance(module.padding, str)
    if type(module) is nn.Embedding:
        return module.max_norm is None and not module.scale_grad_by_freq and not module.sparse
    return type(module) is nn.Linear


def _is_stack(batch: Any) -> bool:
    """Whether sample i is row i of every tensor; a subclass that splits in its own way (graphs, boxes) is not."""
    splitters = [kind for kind in type(batch).__mro__ if "split" in vars(kind)]
    rows = all(isinstance(t, Tensor) and t.ndim > 0 and len(t) == len(batch) for t in batch.values())
    return rows and len(splitters) <= 1


def _exact(like: Tensor) -> torch.autocast:
    """Backward passes and sums of gradients run in the precision their tensors have."""
    return torch.autocast(like.device.type, enabled=False)
