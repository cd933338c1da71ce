import pytest
import torch

from descend.optim import ClipNorm, ClipValue


def pair(scale):
    """Gradients, and parameters that hold the same as theirs."""
    gradients = [scale * torch.randn(3, 4), scale * torch.randn(5)]
    parameters = [torch.zeros_like(g).requires_grad_() for g in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient.clone()
    return gradients, parameters


@pytest.mark.parametrize("scale", [1e-3, 10.0])
def test_norm_equals_torch(scale):
    gradients, parameters = pair(scale)
    where = [g.data_ptr() for g in gradients]
    total = ClipNorm(0.7)(gradients)
    expected = torch.nn.utils.clip_grad_norm_(parameters, 0.7)
    torch.testing.assert_close(total, expected)
    for gradient, parameter in zip(gradients, parameters, strict=True):
        torch.testing.assert_close(gradient, parameter.grad)
    assert [g.data_ptr() for g in gradients] == where, "in place"


def test_value_equals_torch():
    gradients, parameters = pair(2.0)
    assert ClipValue(0.5)(gradients) is None
    torch.nn.utils.clip_grad_value_(parameters, 0.5)
    for gradient, parameter in zip(gradients, parameters, strict=True):
        torch.testing.assert_close(gradient, parameter.grad)


@pytest.mark.parametrize("kind", [ClipNorm, ClipValue])
def test_limit_out_of_range(kind):
    with pytest.raises(ValueError, match=f"{kind.__name__}: the limit must be above 0, got 0.*clip=None"):
        kind(0.0)
