"""Ranks: processes that share one global batch.

Each rank computes its share of the batch; totals, counts and gradients are summed over ranks before the step. A run of
one process is the same code with nothing to sum.
"""

import atexit
import os
from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from descend.engine.errors import UsageError

RANK, SIZE, RENDEZVOUS = "DESCEND_RANK", "DESCEND_RANKS", "DESCEND_RENDEZVOUS"
"""Environment of a rank's process: its number, how many there are, and the address where they meet (a file:// URL for
one machine, tcp://host:port for several)."""


class Ranks:
    """This process among its peers.

    Args:
        rank: 0 … size-1. Rank 0 alone writes files and shows progress.
        size: how many processes share the batch.
    """

    def __init__(self, rank: int = 0, size: int = 1):
        if not 0 <= rank < size:
            raise ValueError(f"rank {rank} of {size}: ranks count from 0 to {size - 1}")
        self.rank = rank
        self.size = size

    @classmethod
    def join(cls, device: str = "cpu") -> "Ranks":
        """Meet the other ranks that the environment names; alone where it names none."""
        size = int(os.environ.get(SIZE, "1"))
        rank = int(os.environ.get(RANK, "0"))
        if size > 1 and not dist.is_initialized():
            backend = "cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo"
            dist.init_process_group(backend, init_method=os.environ[RENDEZVOUS], rank=rank, world_size=size)
            # Left open, gloo's threads abort the process as the interpreter ends.
            atexit.register(dist.destroy_process_group)
        return cls(rank, size)

    def device(self, name: str | None) -> str | None:
        """Of several ranks that compute on GPUs, each takes one of its own.

        Raises:
            UsageError: a machine has fewer GPUs than ranks.
        """
        count = torch.cuda.device_count()
        if self.size == 1 or count == 0 or not (name or "cuda").startswith("cuda"):
            return name
        if self.size > count and os.environ.get(RENDEZVOUS, "").startswith("file:"):  # all on this machine
            raise UsageError(f"{self.size} ranks want a GPU each, and here are {count}: give --ranks {count}")
        return f"cuda:{self.rank % count}"

    def sum(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Every tensor summed over all ranks: one message for all tensors of a kind."""
        tensors = list(tensors)
        if self.size == 1:
            return tensors
        kinds: dict[tuple, list[int]] = {}
        for i, tensor in enumerate(tensors):
            kinds.setdefault((tensor.dtype, tensor.device), []).append(i)
        for indices in kinds.values():
            flat = torch.cat([tensors[i].reshape(-1) for i in indices])
            dist.all_reduce(flat)
            pieces = flat.split([tensors[i].numel() for i in indices])
            for i, piece in zip(indices, pieces, strict=True):
                tensors[i] = piece.view_as(tensors[i])
        return tensors

    def most(self, number: int) -> int:
        """The greatest of all ranks' numbers: how one rank's wish to stop reaches the others."""
        if self.size == 1:
            return number
        tensor = torch.tensor(number)
        dist.all_reduce(tensor, dist.ReduceOp.MAX)
        return int(tensor)

    def wait(self) -> None:
        """Until every rank is here."""
        if self.size > 1:
            dist.barrier()

    def leave(self) -> None:
        """Part from the other ranks: what follows is one process's own."""
        if self.size > 1:
            atexit.unregister(dist.destroy_process_group)
            dist.barrier()
            dist.destroy_process_group()
