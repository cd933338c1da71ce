"""Networks that see, with copied weights, against transformers' of the same name: outputs and gradients."""

import pytest
import torch
from torch import nn

from descend.functional import keyed
from descend.functional.boxes import corners
from descend.models import DETR, Backbone, ClassToken, ConvNeXt, LearnedQueries, PhotoStem, ResNet, ViT
from descend.nn import LayerNorm, LearnedGrid, PatchEmbed, PreNorm
from descend.tasks import Sets

transformers = pytest.importorskip("transformers", exc_type=ModuleNotFoundError)
pytestmark = pytest.mark.slow


def pictures(*shape):
    return torch.randn(*shape, generator=keyed.generator(3), dtype=torch.float64)


def load(pairs):
    """Copy the parameters and buffers of the second of each pair into the first."""
    for ours, theirs in pairs:
        ours.load_state_dict(theirs.state_dict())


def agree(ours, theirs, x, pairs):
    """Logits, the gradient of the picture, and those of the weights."""
    x = x.requires_grad_()
    found = []
    for model in (ours, theirs):
        logits = model(x)
        logits = logits if isinstance(logits, torch.Tensor) else logits.logits
        weight = torch.randn(logits.shape, generator=keyed.generator(4), dtype=torch.float64)
        leaves = [p for each in pairs for p in each[model is theirs].parameters()]
        found.append([logits, *torch.autograd.grad((logits * weight).sum(), [x, *leaves])])
    for mine, other in zip(*found, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-7)


def shaken(model):
    """All parameters at random, so that none is at a value that hides it."""
    draw = keyed.generator(5)
    for parameter in model.parameters():
        parameter.data.add_(0.1 * torch.randn(parameter.shape, generator=draw))
    return model.double()


@pytest.mark.parametrize("size", [32, 48])
def test_vit(size):
    config = transformers.ViTConfig(
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=3,
        intermediate_size=40,
        image_size=32,
        patch_size=8,
        num_labels=5,
        layer_norm_eps=1e-6,
    )
    theirs = shaken(transformers.ViTForImageClassification(config)).eval()
    ours = ViT(
        PatchEmbed(3, 24, 8), 5, LearnedGrid(24, 4, 4), 3, 3, 40, ClassToken(), order=PreNorm(LayerNorm(1e-6))
    ).double()
    vit = theirs.vit
    pairs = [
        (ours.stem.map, vit.embeddings.patch_embeddings.projection),
        (ours.norm, vit.layernorm),
        (ours.head, theirs.classifier),
    ]
    for mine, other in zip(ours.blocks, vit.layers, strict=True):
        pairs += [
            (mine.branches[0].normalise, other.layernorm_before),
            (mine.branches[1].normalise, other.layernorm_after),
            (mine.attention.query, other.attention.q_proj),
            (mine.attention.out, other.attention.o_proj),
            (mine.feed[0], other.mlp.fc1),
            (mine.feed[2], other.mlp.fc2),
        ]
        with torch.no_grad():
            for name in ("weight", "bias"):
                both = [getattr(getattr(other.attention, each), name) for each in ("k_proj", "v_proj")]
                getattr(mine.attention.key_value, name).copy_(torch.cat(both))
    load(pairs)
    with torch.no_grad():
        place = vit.embeddings.position_embeddings
        ours.extra.copy_(vit.embeddings.cls_token + place[:, :1])
        ours.position.table.copy_(place[:, 1:].mT.unflatten(2, (4, 4)))
    theirs_at = (lambda x: theirs(x, interpolate_pos_encoding=True)) if size != 32 else theirs
    agree(ours, _Named(theirs_at), pictures(2, 3, size, size), [])
    if size == 32:
        agree(ours, theirs, pictures(2, 3, size, size), pairs)


class _Named(nn.Module):
    """A function as a module."""

    def __init__(self, call):
        super().__init__()
        self.call = call

    def forward(self, x):
        return self.call(x)


@pytest.mark.parametrize(("kind", "widths", "narrow"), [("basic", (8, 16), 1), ("bottleneck", (32, 64), 4)])
@pytest.mark.parametrize("training", [False, True])
def test_resnet(kind, widths, narrow, training):
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=list(widths), depths=[2, 2], layer_type=kind, num_labels=5
    )
    theirs = shaken(transformers.ResNetForImageClassification(config)).train(training)
    ours = ResNet(3, 5, (2, 2), widths, first=PhotoStem(), narrow=narrow).double().train(training)
    resnet = theirs.resnet

    def pair(mine, other):
        return [(mine[0], other.convolution), (mine[1], other.normalization)]

    pairs = [*pair(ours.stem[0], resnet.embedder.embedder), (ours.head, theirs.classifier[1])]
    layers = [layer for stage in resnet.encoder.stages for layer in stage.layers]
    for mine, other in zip(ours.stages, layers, strict=True):
        for one, their in zip(mine.body, other.layer, strict=True):
            pairs += pair(one, their)
        if mine.shortcut is not None:
            pairs += pair(mine.shortcut, other.shortcut)
    load(pairs)
    agree(ours, theirs, pictures(3, 3, 64, 48), pairs)


def test_convnext():
    config = transformers.ConvNextConfig(
        hidden_sizes=[8, 12], depths=[2, 3], num_stages=2, num_labels=5, layer_norm_eps=1e-6, patch_size=4
    )
    theirs = shaken(transformers.ConvNextForImageClassification(config)).eval()
    ours = ConvNeXt(3, 5, (2, 3), (8, 12)).double().eval()
    convnext = theirs.convnext
    pairs = [
        (ours.stages[0][0], convnext.embeddings.patch_embeddings),
        (ours.stages[0][1], convnext.embeddings.layernorm),
        (ours.norm, convnext.layernorm),
        (ours.head, theirs.classifier),
    ]
    for number, (mine, other) in enumerate(zip(ours.stages, convnext.encoder.stages, strict=True)):
        if number:
            pairs += list(zip(mine[:2], other.downsampling_layer, strict=True))
        for block, layer in zip(mine[2:], other.layers, strict=True):
            pairs += [
                (block.depthwise, layer.dwconv),
                (block.norm, layer.layernorm),
                (block.feed[0], layer.pwconv1),
                (block.feed[2], layer.pwconv2),
            ]
            with torch.no_grad():
                block.factor.copy_(layer.layer_scale_parameter)
    load(pairs)
    agree(ours, theirs, pictures(2, 3, 32, 48), pairs)


def _detr():
    """Theirs, ours, and the pairs of modules that hold the same weights."""
    body = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", out_features=["stage2"]
    )
    config = transformers.DetrConfig(
        use_timm_backbone=False,
        backbone=None,
        use_pretrained_backbone=False,
        backbone_config=body,
        d_model=16,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=24,
        decoder_ffn_dim=24,
        num_queries=7,
        num_labels=4,
    )
    theirs = shaken(transformers.DetrForObjectDetection(config)).eval()
    network = ResNet(3, 1, (1, 1), (8, 16), first=PhotoStem())
    ours = DETR(Backbone(network, (1,)), 4, LearnedQueries(7, 16), None, 2, 2, 2, 24).double().eval()
    detr, resnet = theirs.model, theirs.model.backbone.model
    pairs = [
        (ours.project, detr.input_projection),
        (ours.norm, detr.decoder.layernorm),
        (ours.label, theirs.class_labels_classifier),
        *zip(ours.box[::2], theirs.bbox_predictor.layers, strict=True),
    ]
    for mine, other in zip([*ours.reading, *ours.answering], [*detr.encoder.layers, *detr.decoder.layers], strict=True):
        norms = [other.self_attn_layer_norm, getattr(other, "encoder_attn_layer_norm", None), other.final_layer_norm]
        pairs += zip([branch.normalise for branch in mine.branches], [n for n in norms if n], strict=True)
        pairs += [(mine.feed[0], other.mlp.fc1), (mine.feed[2], other.mlp.fc2)]
        both = [(mine.attention, other.self_attn), (mine.cross, getattr(other, "encoder_attn", None))]
        for one, attention in [each for each in both if each[1] is not None]:
            pairs += [(one.query, attention.q_proj), (one.out, attention.o_proj)]
            with torch.no_grad():
                for name in ("weight", "bias"):
                    halves = [getattr(getattr(attention, part), name) for part in ("k_proj", "v_proj")]
                    getattr(one.key_value, name).copy_(torch.cat(halves))
    load(pairs)
    # Their batch norm is frozen and counts no batches.
    layers = [layer for stage in resnet.encoder.stages for layer in stage.layers]
    convolutions = [(network.stem[0], resnet.embedder.embedder)]
    for mine, other in zip(network.stages, layers, strict=True):
        convolutions += zip(mine.body, other.layer, strict=True)
        convolutions += [] if mine.shortcut is None else [(mine.shortcut, other.shortcut)]
    for mine, other in convolutions:
        mine[0].load_state_dict(other.convolution.state_dict())
        mine[1].load_state_dict(other.normalization.state_dict(), strict=False)
    with torch.no_grad():
        ours.queries.table.copy_(detr.query_position_embeddings.weight)
    return ours, theirs, pairs


def test_detr():
    """Logits, boxes, the matching's loss, and the gradients of picture and weights."""
    ours, theirs, pairs = _detr()
    x = pictures(2, 3, 64, 96).requires_grad_()
    middles = torch.rand(2, 3, 4, generator=keyed.generator(6), dtype=torch.float64) * 0.4 + 0.2
    target = torch.tensor([[3, 0, 1], [2, -1, -1]])
    boxes = corners(middles) * torch.tensor([96.0, 64, 96, 64], dtype=torch.float64)
    labels = [
        {"class_labels": own[own >= 0], "boxes": box[own >= 0]} for own, box in zip(target, middles, strict=True)
    ]
    mine = ours(x)
    torch.set_default_dtype(torch.float64)  # their loss weighs classes by numbers of that type
    try:
        other = theirs(x, labels=labels)
    finally:
        torch.set_default_dtype(torch.float32)
    torch.testing.assert_close(mine.logits[-1], other.logits, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(mine.boxes[-1], other.pred_boxes, rtol=1e-5, atol=1e-5)
    terms = Sets(layers=False).loss(mine, boxes, target, (64, 96))
    loss = sum(term.value() for term in terms.values())
    torch.testing.assert_close(loss, other.loss, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(terms["overlap"].value(), 2 * other.loss_dict["loss_giou"], rtol=1e-5, atol=1e-5)
    leaves = [[p for pair in pairs for p in pair[side].parameters()] for side in (0, 1)]
    found = [torch.autograd.grad(value, [x, *own]) for value, own in zip((loss, other.loss), leaves, strict=True)]
    for one, their in zip(*found, strict=True):
        torch.testing.assert_close(one, their, rtol=1e-4, atol=1e-5)
