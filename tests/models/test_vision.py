"""Named sizes, pictures of several sizes, clips, and starting from what was learned."""

import json

import pytest
import torch
from torch import nn

from descend import models
from descend.engine import build, describe
from descend.functional import keyed
from descend.nn import ConvStem, GroupNorm, LearnedGrid, PatchEmbed


@pytest.mark.parametrize(
    ("make", "parameters"),
    [
        (models.resnet18, 11_689_512),
        (models.resnet34, 21_797_672),
        (models.resnet50, 25_557_032),
        (models.resnet101, 44_549_160),
        (models.resnet152, 60_192_808),
        (models.mobilenet_v2, 3_504_872),
        (models.efficientnet_lite0, 4_652_008),
        (models.efficientnet_lite2, 6_092_072),
        (models.convnext_tiny, 28_589_128),
        (models.convnext_small, 50_223_688),
        (models.vit_base, 86_567_656 - 768),  # the class token's place and the token are one here
        (models.vit_small, 22_050_664 - 384),
        (models.vit_tiny, 5_717_416 - 192),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_sizes_are_the_published_ones(make, parameters):
    with torch.device("meta"):
        assert sum(p.numel() for p in make().parameters()) == parameters


@pytest.mark.parametrize(
    ("make", "convolutions"), [(models.vgg11, 8), (models.vgg13, 10), (models.vgg16, 13), (models.vgg19, 16)]
)
def test_vggs_are_as_deep_as_their_names(make, convolutions):
    with torch.device("meta"):
        model = make()
    assert sum(isinstance(m, nn.Conv2d) for m in model.modules()) == convolutions
    assert sum(isinstance(m, nn.Linear) for m in model.modules()) == 3


def test_a_small_stem_keeps_the_picture():
    with torch.device("meta"):
        model = models.resnet18(3, 10, models.SmallStem())
        assert sum(p.numel() for p in model.parameters()) == pytest.approx(11.174e6, rel=1e-4)
        assert model.stem(torch.empty(1, 3, 32, 32)).shape == (1, 64, 32, 32)


ANY_SIZE = {
    "resnet": lambda: models.ResNet(3, 5, (1, 1), (8, 16), GroupNorm(2), models.PhotoStem()),
    "vgg": lambda: models.VGG(3, 5, (1, 1), (8, 8), 0, GroupNorm(2)),
    "mobilenet": lambda: models.MobileNet(3, 5, (models.Stage(8, 1, 2),), 8, 16, GroupNorm(2)),
    "convnext": lambda: models.ConvNeXt(3, 5, (1, 1), (8, 12)),
    "vit": lambda: models.ViT(PatchEmbed(3, 8, 8), 5, LearnedGrid(8, 4, 4), 1, 2),
    "vit, convolutions": lambda: models.ViT(ConvStem(3, 8, (4, 4, 8), GroupNorm(2)), 5, LearnedGrid(8, 4, 4), 1, 2),
}


@pytest.mark.parametrize("name", ANY_SIZE)
@pytest.mark.parametrize("size", [(32, 32), (48, 40), (64, 96)])
def test_pictures_of_other_sizes_are_taken(name, size):
    model = ANY_SIZE[name]().eval()
    x = torch.randn(2, 3, *size, generator=keyed.generator(0))
    assert model(x).shape == (2, 5)
    assert model(x).isfinite().all()


@pytest.mark.parametrize(
    ("model", "size", "words"),
    [
        (ANY_SIZE["vit"], 30, "pictures of 30×30 are not made of squares of 8×8"),
        (ANY_SIZE["convnext"], 7, "ConvNeXt: a picture of 7×7 is divided by 8: give 8×8 or more"),
        (ANY_SIZE["vgg"], 3, "a picture of 3×3 is halved 2 times: give 4×4 or more"),
        (lambda: models.UNet(3, 2, (4, 8, 8), GroupNorm(2)), 30, "30×30 cannot be halved 2 times: .* to 32×32"),
    ],
)
def test_pictures_that_no_size_fits_are_refused(model, size, words):
    with pytest.raises(ValueError, match=words):
        model()(torch.ones(1, 3, size, size))


@pytest.mark.parametrize(
    "make",
    [
        lambda: models.VGG(3, 5, (1,), (4, 8)),
        lambda: models.ConvNeXt(3, 5, (1,), (4, 8)),
        lambda: models.ResNet(3, 5, (1,), (4, 8)),
    ],
)
def test_a_number_a_stage_is_asked_for(make):
    with pytest.raises(ValueError, match=r"\(1,\) and widths \(4, 8\) give one number a stage each"):
        make()


def test_a_clip_is_the_mean_of_its_pictures():
    network = models.ResNet(3, 5, (1,), (8,), GroupNorm(2)).eval()
    clip = torch.randn(2, 3, 4, 8, 8, generator=keyed.generator(1))
    expected = torch.stack([network(clip[:, :, t]) for t in range(4)]).mean(0)
    torch.testing.assert_close(models.OverTime(network)(clip), expected)


def test_registers_and_class_tokens_are_no_places():
    """The mean is over places alone."""
    model = models.ViT(PatchEmbed(3, 8, 8), 5, LearnedGrid(8, 2, 2), 1, 2, registers=3).eval()
    tokens = torch.randn(2, 7, 8, generator=keyed.generator(2))
    torch.testing.assert_close(model.read(tokens, 3), tokens[:, 3:].mean(1))
    assert model.extra.shape == (1, 3, 8)
    assert torch.equal(models.ClassToken()(tokens, 4), tokens[:, 0])


def test_later_blocks_are_left_out_more_often():
    model = models.ViT(PatchEmbed(3, 8, 8), 5, LearnedGrid(8, 2, 2), 5, 2, drop_path=0.4)
    assert [block.drop_path for block in model.blocks] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])


def test_a_new_head_answers_for_other_classes_and_travels():
    model = models.ResNet(3, 5, (1,), (8,), GroupNorm(2)).eval()
    x = torch.randn(2, 3, 8, 8, generator=keyed.generator(1))
    before = model.features(x)
    assert models.new_head(model, 7) is model
    assert torch.equal(model.features(x), before)
    assert model(x).shape == (2, 7)
    other = build(json.loads(json.dumps(describe(model)))).eval()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(x), model(x))
    with pytest.raises(ValueError, match="Flatten has no linear layer called head"):
        models.new_head(nn.Flatten(), 3)


def test_what_is_frozen_stays():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
    model = nn.Sequential(models.Frozen(network), nn.Flatten(), nn.Linear(144, 2)).train()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    x = torch.randn(5, 3, 8, 8, generator=keyed.generator(1)).requires_grad_()
    assert torch.equal(model[0](x), model[0](x))
    model(x).sum().backward()
    assert x.grad.abs().sum() > 0
    assert all(p.grad is None for p in network.parameters())
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert not network.training
    assert model.eval().train()[0].network is network
    assert not network.training
