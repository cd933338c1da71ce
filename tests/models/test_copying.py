"""Words that stand in the text: their probability, and that they are learned to be said."""

import pytest
import torch
from torch import nn

from descend.data import Loader, TextCodec, datasets
from descend.data.tokens import words
from descend.engine import fit
from descend.functional import keyed
from descend.models import AdditiveScore, Copying, DotScore, Transformer
from descend.nn import SinusoidalPositions
from descend.optim import AdamW, OneCycle
from descend.tasks import Translate


def _translator(words: int, width: int) -> Transformer:
    return Transformer(words, width, 4, 1, SinusoidalPositions(width), dropout=0.0)


@pytest.mark.parametrize("score", [DotScore(8), AdditiveScore(8)])
def test_probabilities_are_the_papers(score):
    """Word by word and place by place, in float64; the second text is padded."""
    keyed.reseed(0)
    model = Copying(_translator(7, 8), score).double()
    tokens, kept = torch.tensor([[4, 5, 4, 6], [6, 1, 0, 0]]), torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]).bool()
    answer = torch.tensor([[2, 5, 4], [2, 1, 1]])
    read = model.model.encode(tokens, kept)
    states = model.model.states(answer, read, kept)
    logits, scores = model.model.logits(states), score(states, read) / 8**0.5
    found = model(tokens, answer, kept).double().softmax(2)
    for text in range(2):
        for told in range(3):
            over = logits[text, told].exp().clone()
            for place in range(4):
                if kept[text, place]:
                    over[tokens[text, place]] += scores[text, told, place].exp()
            torch.testing.assert_close(found[text, told], over / over.sum(), rtol=1e-5, atol=1e-6)


def test_words_that_were_not_read_have_a_gradient_too():
    keyed.reseed(0)
    model = Copying(_translator(50, 8), DotScore(8))
    with torch.no_grad():
        model.score.map.weight.mul_(1e4)  # all but one place count nothing beside it
    model(torch.tensor([[4, 5, 6]]), torch.tensor([[2, 4]])).log_softmax(2)[0, :, 30].sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.slow
@pytest.mark.parametrize(("copies", "least", "most"), [(True, 0.5, 1.0), (False, 0.0, 0.3)])
def test_words_that_were_never_said_are_copied(copies, least, most):
    """Say the first word. In training it is one of three hundred, each a few times; afterwards, one of others."""
    names = [f"w{number}" for number in range(600)]
    codec = TextCodec(words([" ".join(names)], 1).to_str(), 16)
    draw = keyed.generator(0)

    def lines(count: int, first: int) -> list[tuple[str, str]]:
        rest = torch.randint(600, (count, 5), generator=draw).tolist()
        asked = torch.randint(first, first + 300, (count,), generator=draw).tolist()
        return [(" ".join(names[k] for k in (one, *row)), names[one]) for one, row in zip(asked, rest, strict=True)]

    data = datasets.pairs([lines(2000, 0), lines(20, 0), lines(200, 300)], codec)
    keyed.reseed(0)
    plain = _translator(codec.vocabulary, 32)
    model: nn.Module = Copying(plain, DotScore(32)) if copies else plain
    task = Translate(model, AdamW(4e-3, schedule=OneCycle()), codec, label_smoothing=0.0, beams=1, most=3)
    fit(task, Loader(data.train, 50), steps=400)
    asked = data.test.gather(torch.arange(200))
    told = task.eval().predict(**asked.inputs)[:, 0]
    assert least <= (told == asked["target"][:, 0]).double().mean() <= most
