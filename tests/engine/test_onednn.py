"""Products by oneDNN against torch's own in float64; what it does not take, and what is wrong, goes to torch."""

import pytest
import torch
from torch import nn

from descend.engine import Clock, Compute, Ranks, onednn
from descend.engine.setting import Setting
from descend.functional import keyed
from descend.optim import SGD
from tests.engine.pages import Line

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN")


def _draw(*shape, seed=3, dtype=torch.float32):
    return torch.randn(shape, generator=keyed.generator(seed), dtype=dtype)


@pytest.fixture
def taken(monkeypatch):
    """Shapes of the products that oneDNN is given, whatever their size."""
    seen, product = [], onednn._product

    def noting(a, b, bias=None):
        seen.append((tuple(a.shape), tuple(b.shape), bias is not None))
        return product(a, b, bias)

    monkeypatch.setattr(onednn, "LEAST", 1)
    monkeypatch.setattr(onednn, "_product", noting)
    assert onednn.use(True)
    yield seen
    assert onednn.use(False)


@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_map_and_its_gradients(bias, taken):
    net, x = nn.Linear(7, 5, bias=bias), _draw(6, 7).requires_grad_()
    weight = _draw(6, 5, seed=4)
    found = net(x)
    gradients = torch.autograd.grad((found * weight).sum(), [x, *net.parameters()])
    assert sorted(taken) == [((5, 6), (6, 7), False), ((6, 5), (5, 7), False), ((6, 7), (7, 5), bias)]
    onednn.use(False)
    exact, x = net.double(), x.detach().double().requires_grad_()
    torch.testing.assert_close(found, exact(x).float())
    expected = torch.autograd.grad((exact(x) * weight).sum(), [x, *exact.parameters()])
    for a, b in zip(gradients, expected, strict=True):
        torch.testing.assert_close(a, b.float())


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (_draw(20, 30)[3:13:2, 5:12], _draw(9, 20)[2:, 7:19:2]),
        (_draw(6, 4).t(), _draw(5, 6).t()),
        (torch.ones(()).expand(4, 6), _draw(6).expand(3, 6).t()),
        (_draw(1, 6), _draw(6, 1)),
    ],
    ids=["strided", "turned", "spread", "one"],
)
def test_views_of_every_kind(a, b, taken):
    torch.testing.assert_close(torch.mm(a, b), (a.double() @ b.double()).float())
    torch.testing.assert_close(torch.addmm(b[0], a, b), (a.double() @ b.double() + b[0]).float())
    assert len(taken) == 2


def test_a_given_place_is_filled_and_other_layouts_kept(taken):
    a, b, bias = _draw(6, 7), _draw(7, 5), _draw(5)
    for out in (torch.empty(6, 5), torch.empty(5, 6).t()):
        strides = out.stride()
        assert torch.mm(a, b, out=out) is out
        torch.testing.assert_close(out, (a.double() @ b.double()).float())
        torch.addmm(bias, a, b, out=out)
        torch.testing.assert_close(out, (a.double() @ b.double() + bias).float())
        assert out.stride() == strides
    assert len(taken) == 4


@pytest.mark.parametrize(
    "product",
    [
        lambda: torch.mm(_draw(3, 4, dtype=torch.float64), _draw(4, 5, dtype=torch.float64)),
        lambda: torch.mm(_draw(3, 4).bfloat16(), _draw(4, 5).bfloat16()),
        lambda: torch.mm(_draw(3, 4).to(torch.complex64).conj(), _draw(4, 5).to(torch.complex64)),
        lambda: torch.addmm(_draw(3, 5), _draw(3, 4), _draw(4, 5)),
        lambda: torch.addmm(_draw(5), _draw(3, 4), _draw(4, 5), beta=2, alpha=0.5),
        lambda: torch.addmm(_draw(5), _draw(3, 4), _draw(4, 5), alpha=0.5, out=torch.empty(3, 5)),
        lambda: torch.mm(_draw(3, 4), _draw(4, 5), out=torch.empty(0)),
        lambda: torch.mm(torch.eye(4).to_sparse(), _draw(4, 5)),
        lambda: torch.mm(_draw(3, 0), _draw(0, 5)),
        lambda: torch.mm(_draw(0, 3), _draw(3, 5)),
    ],
    ids=[
        "float64",
        "bfloat16",
        "complex",
        "a bias a row",
        "scaled",
        "scaled in place",
        "a place to be sized",
        "sparse",
        "nothing within",
        "nothing",
    ],
)
def test_the_rest_is_torchs(product, taken):
    found = product()
    assert not taken
    onednn.use(False)
    assert torch.equal(found, product())


@pytest.mark.parametrize(
    "product",
    [
        lambda: torch.mm(_draw(3, 4), _draw(5, 4)),
        lambda: torch.mm(_draw(3, 4), _draw(4)),
        lambda: torch.mm(_draw(3, 4), _draw(4, 5, dtype=torch.float64)),
        lambda: torch.mm(_draw(3, 4), _draw(4, 5), out=torch.empty(3, 5, dtype=torch.float64)),
        lambda: torch.addmm(_draw(5, dtype=torch.float64), _draw(3, 4), _draw(4, 5)),
        lambda: torch.addmm(_draw(7), _draw(3, 4), _draw(4, 5)),
    ],
)
def test_what_is_wrong_is_told_by_torch(product, taken):
    with pytest.raises(RuntimeError) as found:
        product()
    assert not taken
    onednn.use(False)
    with pytest.raises(RuntimeError) as expected:
        product()
    assert str(found.value) == str(expected.value)


def test_small_products_are_torchs(taken, monkeypatch):
    monkeypatch.setattr(onednn, "LEAST", 3 * 4 * 5)
    torch.mm(_draw(3, 4), _draw(4, 5))
    assert len(taken) == 1
    torch.mm(_draw(3, 4), _draw(4, 4))
    assert len(taken) == 1


def test_a_compiled_graph_calls_it(taken):
    net, x = nn.Linear(7, 5), _draw(6, 7)
    expected = net(x).detach()
    assert taken
    taken.clear()
    torch.testing.assert_close(torch.compile(net)(x), expected)
    assert taken == [((6, 7), (7, 5), True)]


def test_a_setting_turns_it_on_and_off():
    task = Line(nn.Linear(6, 2), SGD(0.1))
    setting = Setting(task, Ranks(), Clock(0, 0, 10))
    asked = Compute("cpu", onednn=True).settled()
    try:
        setting.install(asked)
        assert onednn._library is not None
        setting.install(Compute("cpu").settled())
        assert onednn._library is None
    finally:
        onednn.use(False)
