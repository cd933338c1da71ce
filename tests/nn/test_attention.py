"""Attention, its masks and its positions against torch.nn and against the formulas, forward and gradient."""

import math

import pytest
import torch
from torch import nn

from descend.functional import keyed
from descend.nn import (
    Attention,
    FeedForward,
    LearnedGrid,
    LearnedPositions,
    PostNorm,
    PreNorm,
    RelativeBias,
    ReLU,
    Rotary,
    SinusoidalGrid,
    SinusoidalPositions,
    TransformerBlock,
)


def draw(*shape, key=0):
    return torch.randn(*shape, generator=keyed.generator(key), dtype=torch.float64)


def copied(ours, theirs):
    """Ours with the weights of torch's."""
    width = ours.width
    with torch.no_grad():
        if theirs._qkv_same_embed_dim:
            q, k, v = theirs.in_proj_weight.split(width)
        else:
            q, k, v = theirs.q_proj_weight, theirs.k_proj_weight, theirs.v_proj_weight
        ours.query.weight.copy_(q)
        ours.key_value.weight.copy_(torch.cat([k, v]))
        ours.query.bias.copy_(theirs.in_proj_bias[:width])
        ours.key_value.bias.copy_(theirs.in_proj_bias[width:])
        ours.out.load_state_dict(theirs.out_proj.state_dict())
    return ours


def agree(one, other, *leaves):
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
    weight = draw(*one.shape, key=9)
    found = [torch.autograd.grad((y * weight).sum(), leaves, retain_graph=True) for y in (one, other)]
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("causal", [False, True])
def test_self_attention_is_torchs(causal):
    theirs = nn.MultiheadAttention(12, 3, batch_first=True).double()
    nn.init.normal_(theirs.in_proj_bias)
    ours = copied(Attention(12, 3, causal=causal).double(), theirs)
    x = draw(2, 5, 12).requires_grad_()
    mask = torch.ones(5, 5, dtype=torch.bool).triu(1) if causal else None
    agree(ours(x), theirs(x, x, x, attn_mask=mask, need_weights=False)[0], x)


def test_attention_to_a_context_with_a_mask_is_torchs():
    theirs = nn.MultiheadAttention(12, 3, kdim=7, vdim=7, batch_first=True).double()
    ours = copied(Attention(12, 3, context_width=7).double(), theirs)
    x, context = draw(2, 5, 12).requires_grad_(), draw(2, 4, 7, key=1).requires_grad_()
    kept = torch.tensor([[True, True, False, True], [True, False, False, False]])
    mine = ours(x, context, kept[:, None, None])
    agree(mine, theirs(x, context, context, key_padding_mask=~kept, need_weights=False)[0], x, context)


def test_a_mask_and_causality_hold_together():
    attention = Attention(8, 2, causal=True).double()
    x = draw(1, 5, 8)
    mask = torch.ones(1, 1, 5, 5, dtype=torch.bool)
    mask[..., 1] = False
    changed = x.clone()
    changed[:, 1] += 1
    before, after = attention(x, mask=mask), attention(changed, mask=mask)
    torch.testing.assert_close(before[:, 2:], after[:, 2:])
    changed = x.clone()
    changed[:, 4] += 1
    torch.testing.assert_close(attention(x, mask=mask)[:, :4], attention(changed, mask=mask)[:, :4])


def test_grouped_heads_are_repeated_heads():
    few = Attention(12, 6, kv_heads=2).double()
    many = Attention(12, 6).double()
    with torch.no_grad():
        many.query.load_state_dict(few.query.state_dict())
        many.out.load_state_dict(few.out.state_dict())
        for name in ("weight", "bias"):
            grouped = getattr(few.key_value, name).unflatten(0, (2, 2, 2))  # keys and values, groups, width of a head
            getattr(many.key_value, name).copy_(grouped.repeat_interleave(3, 1).flatten(0, 2))
    x = draw(2, 5, 12).requires_grad_()
    agree(few(x), many(x), x)


def test_with_rotary_positions_only_distances_count():
    rotary = Rotary(8)
    query, key = draw(1, 1, 1, 8), draw(1, 1, 1, 8, key=1)
    q, k = rotary.turned(query.expand(1, 1, 6, 8)), rotary.turned(key.expand(1, 1, 6, 8))
    scores = (q @ k.mT)[0, 0]
    assert rotary.added(6, 6) is None
    for distance in range(-5, 6):
        diagonal = scores.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(scores[0, 0], scores[0, 1])
    # Su et al. 2021, equation 34, as complex numbers.
    x = draw(1, 1, 6, 8, key=2)
    turned = rotary.turned(x)
    angle = torch.arange(6)[:, None] * 10000.0 ** (-torch.arange(0, 8, 2) / 8)
    pairs = torch.complex(x[..., :4], x[..., 4:]) * torch.polar(torch.ones_like(angle), angle)
    torch.testing.assert_close(turned, torch.cat([pairs.real, pairs.imag], 3), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("both", [True, False])
def test_relative_buckets_are_the_papers(both):
    """Against the published definition, distance by distance."""
    bias = RelativeBias(2, 16, 50, both)

    def bucket(distance):  # key - query
        count, offset = (8, 8 * (distance > 0)) if both else (16, 0)
        far = abs(distance) if both else max(-distance, 0)
        near = count // 2
        if far < near:
            return offset + far
        return offset + min(count - 1, near + int(math.log(far / near) / math.log(50 / near) * (count - near)))

    distance = torch.arange(-90, 91)[None]
    assert bias._bucket(distance).tolist() == [[bucket(d) for d in range(-90, 91)]]
    nn.init.normal_(bias.table)
    added = bias.added(3, 5)
    assert added.shape == (1, 2, 3, 5)
    assert added[0, 1, 2, 0] == bias.table[bucket(-2), 1]
    later = bias.added(3, 5, torch.tensor([0, 2]))
    torch.testing.assert_close(later[:1], added)
    assert later[1, 1, 0, 1] == bias.table[bucket(-1), 1]


def test_a_bias_is_added_to_the_scores():
    attention = Attention(8, 2, position=RelativeBias(2, 8, 16), causal=True).double()
    nn.init.normal_(attention.position.table)
    x = draw(2, 5, 8).requires_grad_()
    maps = (attention.query(x), *attention.key_value(x).chunk(2, 2))
    q, k, v = (t.unflatten(2, (2, 4)).transpose(1, 2) for t in maps)
    scores = q @ k.mT / 2 + attention.position.added(5, 5)
    scores = scores.masked_fill(torch.ones(5, 5, dtype=torch.bool).triu(1), -torch.inf)
    agree(attention(x), attention.out((scores.softmax(3) @ v).transpose(1, 2).flatten(2)), x)


def test_sines_and_cosines_are_the_papers():
    """Vaswani et al. 2017, section 3.5: PE(pos, 2i) = sin(pos / 10000^(2i/d)), PE(pos, 2i+1) the cosine."""
    found = SinusoidalPositions(8)(torch.zeros(1, 20, 8, dtype=torch.float64))[0]
    for place in range(20):
        for i in range(4):
            angle = place / 10000 ** (2 * i / 8)
            assert found[place, 2 * i] == pytest.approx(math.sin(angle), abs=1e-5)
            assert found[place, 2 * i + 1] == pytest.approx(math.cos(angle), abs=1e-5)


def test_a_grid_tells_rows_and_columns():
    found = SinusoidalGrid(8)(torch.zeros(1, 8, 4, 5, dtype=torch.float64))[0]
    line = SinusoidalPositions(4)(torch.zeros(1, 5, 4, dtype=torch.float64))[0]
    for row in range(4):
        for column in range(5):
            torch.testing.assert_close(found[:, row, column], torch.cat([line[row], line[column]]))


def test_a_learned_grid_is_interpolated_for_another_size():
    grid = LearnedGrid(4, 3, 3).double()
    x = torch.zeros(1, 4, 3, 3, dtype=torch.float64)
    assert torch.equal(grid(x)[0], grid.table[0])
    wide = grid(torch.zeros(1, 4, 6, 9, dtype=torch.float64))
    expected = nn.functional.interpolate(grid.table, (6, 9), mode="bicubic", align_corners=False)
    torch.testing.assert_close(wide, expected)


@pytest.mark.parametrize("before", [True, False])
def test_an_encoder_block_is_torchs(before):
    theirs = nn.TransformerEncoderLayer(12, 3, 20, 0.0, "relu", batch_first=True, norm_first=before).double()
    order = PreNorm() if before else PostNorm()
    ours = TransformerBlock(Attention(12, 3), FeedForward(12, 20, ReLU()), order=order).double()
    copied(ours.attention, theirs.self_attn)
    for mine, other in (
        (ours.feed[0], theirs.linear1),
        (ours.feed[-1], theirs.linear2),
        (ours.branches[0].normalise, theirs.norm1),
        (ours.branches[1].normalise, theirs.norm2),
    ):
        mine.load_state_dict(other.state_dict())
    x = draw(2, 5, 12).requires_grad_()
    agree(ours(x), theirs(x), x)


@pytest.mark.parametrize("before", [True, False])
def test_a_decoder_block_is_torchs(before):
    theirs = nn.TransformerDecoderLayer(12, 3, 20, 0.0, "relu", batch_first=True, norm_first=before).double()
    order = PreNorm() if before else PostNorm()
    attention, cross = Attention(12, 3, causal=True), Attention(12, 3)
    ours = TransformerBlock(attention, FeedForward(12, 20, ReLU()), cross, order).double()
    copied(ours.attention, theirs.self_attn)
    copied(ours.cross, theirs.multihead_attn)
    for mine, other in (
        (ours.feed[0], theirs.linear1),
        (ours.feed[-1], theirs.linear2),
        *((ours.branches[i].normalise, getattr(theirs, f"norm{i + 1}")) for i in range(3)),
    ):
        mine.load_state_dict(other.state_dict())
    x, context = draw(2, 5, 12).requires_grad_(), draw(2, 7, 12, key=1).requires_grad_()
    causal = torch.ones(5, 5, dtype=torch.bool).triu(1)
    agree(ours(x, context), theirs(x, context, tgt_mask=causal), x, context)


def test_a_stack_ends_in_a_norm_only_where_one_is_wanted():
    assert isinstance(PreNorm().last(8), nn.LayerNorm)
    assert isinstance(PostNorm().last(8), nn.Identity)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Attention(10, 3), "3 heads do not divide a width of 10"),
        (lambda: Attention(12, 3, kv_heads=2), "2 kv_heads do not divide 3 heads"),
        (lambda: Rotary(7), "Rotary: 7 is not divisible by 2; give 6"),
        (lambda: SinusoidalGrid(6), "SinusoidalGrid: 6 is not divisible by 4; give 4"),
        (lambda: RelativeBias(2, 6), "RelativeBias: 6 is not divisible by 4"),
        (lambda: RelativeBias(2, 32, 8), "RelativeBias: farthest is 8, but 8 distances have a bucket each"),
        (lambda: LearnedPositions(3, 4)(draw(1, 4, 4).float()), "4 tokens, but places were learned for 3"),
    ],
)
def test_what_does_not_fit_is_said(make, words):
    with pytest.raises(ValueError, match=words):
        make()
