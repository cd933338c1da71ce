"""Encoders and decoders: sizes that fit and sizes that do not; a codebook by its definition."""

import pytest
import torch

from descend.functional import keyed
from descend.models import MLP, Codebook, ConvDecoder, ConvEncoder, MapDecoder, MapEncoder, MLPDecoder


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 8, 20), (2, 4, 4)])
def test_a_pair_goes_there_and_back_for_any_sides_that_4_divides(shape):
    x = torch.rand(2, *shape)
    maps = MapEncoder(shape, 5)(x)
    assert maps.shape == (2, 5, shape[1] // 4, shape[2] // 4)
    assert MapDecoder(5, shape)(maps).shape == x.shape
    assert ConvDecoder(7, shape)(ConvEncoder(shape, 7)(x)).shape == x.shape
    features = x[0].numel()
    assert MLPDecoder(7, 9, shape=shape)(MLP(features, 9, out=7)(x)).shape == x.shape
    assert MLPDecoder(features, 9, shape=shape)(x).shape == x.shape


@pytest.mark.parametrize("kind", [MapEncoder, ConvEncoder])
def test_another_size_is_refused(kind):
    with pytest.raises(ValueError, match=r"3×16×16 .* made for 1×16×16"):
        kind((1, 16, 16), 4)(torch.rand(2, 3, 16, 16))
    with pytest.raises(ValueError, match="no whole number of pixels: its sides must be multiples of 4"):
        kind((1, 16, 30), 4)
    with pytest.raises(ValueError, match="multiples of 8"):
        ConvDecoder(4, (1, 28, 28), (4, 8, 8))


def test_codes_are_the_nearest_entries():
    book, x = Codebook(7, 4), torch.randn(3, 4, 5, 6)
    distances = (x[:, None] - book.entry[None, :, :, None, None]).square().sum(2)
    assert torch.equal(book.codes(x), distances.argmin(1))
    expected = torch.stack([book.entry[code] for code in book.codes(x).flatten()]).view(3, 5, 6, 4).movedim(3, 1)
    assert torch.equal(book.vectors(book.codes(x)), expected)
    torch.testing.assert_close(book(x), expected)


def test_gradients_pass_straight_through_and_move_no_entry():
    book, x = Codebook(7, 4), torch.randn(3, 4, 5, requires_grad=True)
    given = torch.randn(3, 4, 5)
    (book(x) * given).sum().backward()
    torch.testing.assert_close(x.grad, given)
    assert list(book.parameters()) == []


def test_an_entry_is_the_mean_of_what_chose_it():
    book, x = Codebook(5, 2, decay=0.0), torch.randn(40, 2, 3)
    codes, rows = book.codes(x).flatten(), x.movedim(1, -1).reshape(-1, 2)
    assert len(codes.unique()) == 5
    book.follow(*book.tally(x), spare=torch.zeros(5, 2))
    torch.testing.assert_close(book.entry, torch.stack([rows[codes == k].mean(0) for k in range(5)]))


def test_entries_are_moving_averages_weighed_by_how_often_they_are_chosen():
    book = Codebook(2, 1, decay=0.5)
    spare = torch.zeros(2, 1)
    book.follow(torch.tensor([4.0, 4.0]), torch.tensor([[4.0], [8.0]]), spare)
    assert book.entry.flatten().tolist() == [1.0, 2.0]
    book.follow(torch.tensor([2.0, 6.0]), torch.tensor([[8.0], [12.0]]), spare)
    # (0.25·4 + 0.5·8) / (0.25·4 + 0.5·2), and the like
    assert book.entry.flatten().tolist() == pytest.approx([5 / 2, 8 / 4])


def test_an_unused_entry_begins_anew_and_a_used_one_does_not():
    keyed.reseed(1)
    book = Codebook(4, 2, decay=0.9)
    book.entry[3] = 1000.0
    x = torch.randn(30, 2, 4)
    used = book.codes(x).unique()
    assert 3 not in used
    spare = torch.full((4, 2), 7.0)
    book.follow(*book.tally(x), spare=spare)
    again = (book.entry == 7).all(1)
    assert again.tolist() == [k not in used for k in range(4)]
    for _ in range(3):  # long enough to be chosen
        book.follow(torch.tensor([9.0, 9.0, 9.0, 0.0]), torch.ones(4, 2), spare=-spare)
    assert (book.entry[3] > 0).all()


def test_a_book_of_one_entry_is_refused():
    with pytest.raises(ValueError, match="give 2 entries or more"):
        Codebook(1, 4)
