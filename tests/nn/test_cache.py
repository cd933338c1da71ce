"""A cache changes nothing: told token by token, a text is what it is when it is read at once."""

import pytest
import torch

from descend.functional import keyed
from descend.nn import Attention, Cache, FeedForward, RelativeBias, Rotary, TransformerBlock
from descend.nn.positions import LearnedPositions, SinusoidalPositions

POSITIONS = {"none": lambda: None, "rotary": lambda: Rotary(4), "bias": lambda: RelativeBias(2, 8, 16, both=False)}


def draw(*shape, key=0):
    return torch.randn(*shape, generator=keyed.generator(key), dtype=torch.float64)


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("shared", [None, 1])
def test_cached_is_uncached(position, shared):
    attention = Attention(8, 2, kv_heads=shared, position=POSITIONS[position](), causal=True).double()
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter)
    x = draw(3, 9, 8)
    whole, cache, found = attention(x), Cache(3, 9), []
    for piece in x.split([4, 1, 3, 1], 1):
        found.append(attention(piece, cache=cache))
        cache.advance(piece.shape[1])
    torch.testing.assert_close(torch.cat(found, 1), whole)


@pytest.mark.parametrize("position", POSITIONS)
def test_sequences_of_unlike_lengths_go_on_each_for_itself(position):
    attention = Attention(8, 2, position=POSITIONS[position](), causal=True).double()
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter)
    lengths, prompts, more = torch.tensor([5, 2, 3]), draw(3, 5, 8), draw(3, 2, 8, key=1)
    cache = Cache(3, 7)
    attention(prompts, cache=cache)
    cache.advance(lengths)
    found = []
    for step in range(2):
        found.append(attention(more[:, step : step + 1], cache=cache))
        cache.advance()
    for row, length in enumerate(lengths.tolist()):
        alone = attention(torch.cat([prompts[row : row + 1, :length], more[row : row + 1]], 1))
        torch.testing.assert_close(torch.cat(found, 1)[row : row + 1], alone[:, length:])


def test_rows_can_be_chosen():
    attention = Attention(8, 2, causal=True).double()
    x, rows = draw(3, 5, 8), torch.tensor([2, 2, 0])
    cache = Cache(3, 5)
    attention(x[:, :4], cache=cache)
    cache.advance(4)
    cache.choose(rows)
    found = attention(x[rows][:, 4:], cache=cache)
    torch.testing.assert_close(found, attention(x[rows])[:, 4:])


def test_a_context_is_read_once():
    block = TransformerBlock(Attention(8, 2, causal=True), FeedForward(8, 12), Attention(8, 2)).double()
    x, context = draw(2, 4, 8), draw(2, 3, 8, key=1)
    cache, found = Cache(2, 4), []
    whole = block(x, context)
    for step in range(4):
        found.append(block(x[:, step : step + 1], context if step == 0 else torch.full_like(context, 9.0), cache=cache))
        cache.advance()
    torch.testing.assert_close(torch.cat(found, 1), whole)


@pytest.mark.parametrize("position", [LearnedPositions(9, 8), SinusoidalPositions(8)])
def test_places_are_counted_on(position):
    x = draw(2, 9, 8).float()
    later = position(x[:, 4:6], torch.tensor([4, 4]))
    torch.testing.assert_close(later, position(x)[:, 4:6])


def test_what_cannot_be_kept_is_refused():
    with pytest.raises(ValueError, match="build it with causal=True"):
        Attention(8, 2)(draw(1, 2, 8).float(), cache=Cache(1, 4))
    attention = Attention(8, 2, causal=True)
    cache = Cache(1, 4)
    attention(torch.zeros(1, 3, 8), cache=cache)
    cache.advance(3)
    with pytest.raises(ValueError, match=r"3 \+ 2 tokens do not fit into its room of 4"):
        attention(torch.zeros(1, 2, 8), cache=cache)
