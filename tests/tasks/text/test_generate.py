"""Telling a text on: by a memory as without one, in a batch as alone, and by the rules of each way of choosing."""

import math

import pytest
import torch

from descend.functional import keyed
from descend.models import GPT, Copying, DotScore, RecurrentLanguage, RecurrentTranslator, Tied, Transformer, Untied
from descend.nn import GRU, LSTM, LearnedPositions, RelativeBias, Rotary, SinusoidalPositions
from descend.tasks import Greedy, Sample, beams, generate

WORDS = 23


def gpt(position):
    return GPT(WORDS, 16, 2, 2, position, kv_heads=1, head=Untied())


MODELS = {
    "learned": lambda: gpt(LearnedPositions(40, 16)),
    "sinusoidal": lambda: gpt(SinusoidalPositions(16)),
    "rotary": lambda: gpt(Rotary(8)),
    "bias": lambda: gpt(RelativeBias(2, 8, 16, both=False)),
    "lstm": lambda: RecurrentLanguage(LSTM(), WORDS, 16),
    "gru": lambda: RecurrentLanguage(GRU(), WORDS, 16, head=Tied(bias=True, cap=5.0)),
}


@pytest.fixture(params=MODELS)
def model(request):
    keyed.reseed(0)
    made = MODELS[request.param]().eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
        yield made


def logits(model, tokens):
    found = model(torch.tensor([tokens]))
    return (found[0] if isinstance(found, tuple) else found)[0, -1]


def told(model, prompts, most, how=Greedy(), **more):
    memory = model.memory(len(prompts), max(map(len, prompts)) + most)
    steps = list(generate(memory, prompts, most, how, **more))
    return [[step[row] for step in steps if step[row] is not None] for row in range(len(prompts))]


def test_with_a_memory_as_without(model):
    """Token by token, the likeliest after reading all anew."""
    text = [3, 1, 4]
    for token in told(model, [text], 12)[0]:
        assert token == int(logits(model, text).argmax())
        text = [*text, token]


def test_in_a_batch_as_alone(model):
    prompts = [[3, 1, 4, 1, 5], [9], [2, 6, 5]]
    for how in (Greedy(), Greedy(1.5), Sample(1.3, top_k=9, top_p=0.9, repetition=1.2, seed=4)):
        together = told(model, prompts, 10, how, keys=[7, 8, 9])
        for prompt, key, text in zip(prompts, (7, 8, 9), together, strict=True):
            assert told(model, [prompt], 10, how, keys=[key]) == [text]


def test_texts_end_for_themselves(model):
    prompts = [[3, 1, 4, 1, 5], [9], [2, 6, 5]]
    free = told(model, prompts, 10)
    end = free[1][2]
    ended = told(model, prompts, 10, end=end)
    for text, whole in zip(ended, free, strict=True):
        assert text == (whole[: whole.index(end) + 1] if end in whole else whole)
    stopped = told(model, prompts, 10, stop=lambda text: len(text) == 4)
    assert [len(text) for text in stopped] == [4, 4, 4]


def test_what_is_drawn_has_its_chance():
    """Ten thousand draws from three words, of which the choice leaves two, or one."""
    chances = torch.tensor([0.5, 0.3, 0.2])
    rows, nothing = chances.log().expand(10_000, 3), torch.zeros(10_000, 3, dtype=torch.bool)
    keys = torch.arange(10_000)

    def shares(how):
        return torch.bincount(how.next(rows, nothing, keys, 0), minlength=3) / 10_000

    torch.testing.assert_close(shares(Sample()), chances, atol=0.02, rtol=0)
    warm = chances**0.5 / (chances**0.5).sum()
    torch.testing.assert_close(shares(Sample(2.0)), warm, atol=0.02, rtol=0)
    two = torch.tensor([0.625, 0.375, 0.0])
    torch.testing.assert_close(shares(Sample(top_k=2)), two, atol=0.02, rtol=0)
    torch.testing.assert_close(shares(Sample(top_p=0.6)), two, atol=0.02, rtol=0)
    assert shares(Sample(top_p=0.5)).tolist() == [1, 0, 0]
    assert shares(Sample(1e-4)).tolist() == [1, 0, 0]
    assert not torch.equal(Sample().next(rows, nothing, keys, 0), Sample().next(rows, nothing, keys, 1))
    assert not torch.equal(Sample().next(rows, nothing, keys, 0), Sample(seed=1).next(rows, nothing, keys, 0))


def test_what_was_told_is_less_likely_by_the_repetition():
    logits, seen = torch.tensor([[2.0, -1.0, 1.5]]), torch.tensor([[True, True, False]])
    found = Sample(repetition=2.0).weighed(logits, seen)
    torch.testing.assert_close(found, torch.tensor([[1.0, -2.0, 1.5]]))
    assert Greedy(2.0).next(logits, seen, torch.zeros(1, dtype=torch.int64), 0).tolist() == [2]


@pytest.mark.parametrize("wrong", [{"temperature": 0}, {"top_p": 0}, {"top_p": 1.1}, {"top_k": -1}, {"repetition": 0}])
def test_choices_that_are_none_are_refused(wrong):
    with pytest.raises(ValueError, match=r"take Greedy\(\)"):
        Sample(**wrong)


def test_more_than_there_are_places_for_is_refused():
    with pytest.raises(ValueError, match="41 tokens are to be told, and places were learned for 40"):
        gpt(LearnedPositions(40, 16)).memory(1, 41)
    with pytest.raises(ValueError, match="41 tokens are to be told"):
        Transformer(WORDS, 16, 2, 1, LearnedPositions(40, 16)).memory(torch.ones(1, 3, dtype=torch.int64), room=41)


def test_an_empty_prompt_is_refused():
    with pytest.raises(ValueError, match="a prompt is empty"):
        told(gpt(Rotary(8)), [[1], []], 3)


TRANSLATORS = {
    "transformer": lambda: Transformer(WORDS, 16, 2, 2, SinusoidalPositions(16), dropout=0.0),
    "recurrent": lambda: RecurrentTranslator(LSTM(), WORDS, 16, DotScore(16), 2),
    "copying": lambda: Copying(Transformer(WORDS, 16, 2, 2, SinusoidalPositions(16), dropout=0.0), DotScore(16)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TRANSLATORS)
@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_beams_as_wide_as_everything_find_the_best(name, penalty):
    """Against trying all answers of up to three tokens, each scored by reading it whole; and one text as two."""
    keyed.reseed(1)
    model = TRANSLATORS[name]().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
        tokens, end, most = torch.tensor([[5, 6, 7, 8], [9, 4, 0, 0]]), 3, torch.tensor([3, 3])
        kept = tokens > 0
        found = beams(model.memory(tokens, kept, WORDS**2, 8), torch.tensor([2, 2]), most, WORDS**2, end, penalty)
        for row in range(2):
            one, own = tokens[row : row + 1], kept[row : row + 1]
            best, answer = -math.inf, None
            begin = model(one, torch.tensor([[2]]), own)[0, -1].log_softmax(0)
            candidates = [([], float(begin[end]))]
            for a in range(WORDS):
                second = model(one, torch.tensor([[2, a]]), own)[0, -1].log_softmax(0)
                if a != end:
                    candidates.append(([a], float(begin[a] + second[end])))
                for b in range(WORDS):
                    third = model(one, torch.tensor([[2, a, b]]), own)[0, -1].log_softmax(0)
                    if end not in (a, b):
                        candidates.append(([a, b], float(begin[a] + second[b] + third[end])))
            for text, score in candidates:
                measured = score / ((5 + len(text) + 1) / 6) ** penalty
                if measured > best:
                    best, answer = measured, text
            assert found[row] == answer
            first, limit = torch.tensor([2]), most[:1]
            alone = beams(model.memory(one[:, : int(own.sum())], None, 5, 8), first, limit, 5, end, penalty)
            padded = beams(model.memory(one, own, 5, 8), first, limit, 5, end, penalty)
            assert alone == padded
            answer = torch.tensor([[2, 5, 6]])
            torch.testing.assert_close(model(one, answer, own), model(one[:, : int(own.sum())], answer))


@pytest.mark.parametrize("name", TRANSLATORS)
def test_how_long_an_answer_may_be_does_not_hang_on_the_others(name):
    """An end that is never likely: each answer stops at its own limit, and is what it is alone."""
    keyed.reseed(1)
    model = TRANSLATORS[name]().eval()
    tokens, most = torch.tensor([[5, 6, 7, 8], [9, 4, 1, 2], [4, 4, 1, 2]]), torch.tensor([6, 2, 4])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
        inner = model.model if isinstance(model, Copying) else model
        inner.logits.bias = torch.nn.Parameter(torch.zeros(WORDS).index_fill(0, torch.tensor(3), -50.0))
        together = beams(model.memory(tokens, None, 3, 6), torch.full((3,), 2), most, 3, 3)
        alone = [
            beams(model.memory(tokens[[row]], None, 3, 6), torch.tensor([2]), most[[row]], 3, 3)[0] for row in range(3)
        ]
    assert [len(text) for text in together] == most.tolist()
    assert together == alone
