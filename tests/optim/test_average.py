import pytest
import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn

from descend.optim import EMA


def tensors(seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(3, 4, generator=generator), torch.randn(5, generator=generator)]


def test_equals_torch_without_warm_up():
    ours, theirs = tensors(0), tensors(0)
    for step in range(1, 6):
        live = [t.requires_grad_() for t in tensors(step)]
        EMA(decay=0.9, warmup=False).update(ours, live, step)
        get_ema_multi_avg_fn(0.9)(theirs, live, step)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)
        assert not one.requires_grad


def test_warm_up_shortens_the_memory_until_the_decay_is_reached():
    average = [torch.zeros(1)]
    EMA(decay=0.5).update(average, [torch.ones(1)], step=1)
    assert average[0].item() == pytest.approx(1 - 2 / 11)
    average = [torch.zeros(1)]
    EMA(decay=0.5).update(average, [torch.ones(1)], step=1000)
    assert average[0].item() == pytest.approx(0.5)


@pytest.mark.parametrize("decay", [1.0, -0.1, float("nan")])
def test_decay_out_of_range(decay):
    with pytest.raises(ValueError, match=r"decay must be in \[0, 1\)"):
        EMA(decay=decay)
