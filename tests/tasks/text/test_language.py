"""Language, hidden words, translation, tags, answers and sentences: what is learned, asked and answered."""

import json
import math

import pytest
import torch

from descend.data import AnswerCodec, BadData, Batch, Following, Loader, PromptCodec, TagCodec, TextCodec, datasets
from descend.data.datasets import Texts, Windows
from descend.data.datasets.text import SHAKESPEARE
from descend.data.tokens import characters, words
from descend.data.vocabulary import UNKNOWN
from descend.engine import Experiment, evaluate, fit, load, train
from descend.functional import keyed
from descend.losses import info_nce
from descend.models import (
    BERT,
    GPT,
    DotScore,
    MaskedBERT,
    MeanOfTokens,
    RecurrentEncoder,
    RecurrentLanguage,
    RecurrentTranslator,
    Tagger,
    Transformer,
)
from descend.nn import GRU, LSTM, LearnedPositions, Rotary, SinusoidalPositions
from descend.optim import SGD, AdamW
from descend.tasks import (
    Answer,
    CarriedLanguage,
    Greedy,
    Language,
    MaskedLanguage,
    Sentences,
    Summarise,
    Tag,
    Translate,
)

COUNTING = "one two three four five six seven eight nine ten " * 40


@pytest.fixture
def counting(tmp_path):
    path = tmp_path / "counting.txt"
    path.write_text(COUNTING)
    return datasets.text(path, length=24)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gpt", "lstm"])
def test_a_language_is_learned_and_told_on(counting, kind, tmp_path):
    keyed.reseed(0)
    many = counting.codec.vocabulary
    model = GPT(many, 32, 2, 2, Rotary(16)) if kind == "gpt" else RecurrentLanguage(LSTM(), many, 48, 1)
    task = Language(model, AdamW(5e-3), Greedy(), most=9)
    result = train(Experiment(task, counting, batch=16, steps=150), tmp_path / "run")
    assert result.scores["test"]["loss"] < 0.2
    found = load(result.folder).predict(["one two three fo", "seven "])
    assert [answer["text"] for answer in found] == ["ur five s", "eight nin"]


def test_the_loss_is_the_mean_over_the_tokens_that_count():
    keyed.reseed(0)
    model = GPT(11, 8, 2, 1, Rotary(4))
    task = Language(model, SGD(0.1))
    tokens = torch.randint(0, 11, (3, 6))
    target = torch.randint(0, 11, (3, 6))
    target[1, 2:] = -100
    found = task.loss(Batch(tokens=tokens, target=target)).value()
    logs = model(tokens).log_softmax(2)
    kept = [(i, j) for i in range(3) for j in range(6) if target[i, j] >= 0]
    meant = -sum(logs[i, j, target[i, j]] for i, j in kept) / len(kept)
    torch.testing.assert_close(found, meant)


def test_a_text_longer_than_the_window_is_told_on_by_its_end():
    """As if its latter half were all there is, each time that the window is full."""
    keyed.reseed(0)
    model = GPT(11, 8, 2, 1, LearnedPositions(6, 8))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    task = Language(model, SGD(0.1), Greedy(), most=7, end=-1).eval()
    text = [1, 4, 2, 5]
    found = task.predict(tokens=torch.tensor([text]))[0].tolist()
    for step in range(7):
        # Four tokens are read and two told; then, of six, the last three are read and three told; and so on.
        begin = {0: 0, 1: 0, 2: 3, 3: 3, 4: 3, 5: 6, 6: 6}[step]
        read = [*text, *found[:step]][begin:]
        assert found[step] == int(model(torch.tensor([read]))[0, -1].argmax())
    assert task.predict(tokens=torch.ones(1, 9, dtype=torch.int64)).shape == (1, 7)
    ending = Language(model, SGD(0.1), Greedy(), most=7, end=found[3]).eval()
    ended = ending.predict(tokens=torch.tensor([text]))[0].tolist()
    assert ended == found[: found.index(found[3])] + [found[3]] * (7 - found.index(found[3]))


def test_a_prompt_of_more_tokens_than_are_read_is_refused():
    codec = PromptCodec(characters(["abc"]).to_str(), 4)
    with pytest.raises(BadData, match="the text has 5 tokens, and at most 4 are read"):
        codec.encode("abcab")


def test_a_state_goes_on_where_the_text_does():
    """Batches that follow one another are learned from as one long one, but for gradients that reach back."""
    row = torch.randint(0, 11, (97,), generator=keyed.generator(3)).numpy()
    data = Windows(row, 4, 4)
    keyed.reseed(0)
    model = RecurrentLanguage(LSTM(), 11, 8, 1)
    task = CarriedLanguage(model, SGD(0.1), rows=3)
    loader = Loader(data, 3, shuffle=Following(len(data), 3))
    assert len(data) == 24
    rows = torch.from_numpy(row[:96].reshape(3, 32)).long()
    state = model.read(rows)[1]
    for step in range(8):
        batch = loader.batch(step)
        assert torch.equal(batch["tokens"], rows[:, 4 * step : 4 * step + 4])
        whole = model.states(rows[:, : 4 * step + 4])[:, -4:]
        meant = task._loss(whole, batch).value()
        found = task.loss(batch)
        assert found.coupled
        torch.testing.assert_close(found.value(), meant)
    torch.testing.assert_close((task.carried0, task.carried1), state)
    assert task.step(loader.batch(0))["loss"].isfinite()  # what is carried on is not what gradients look at
    task.loss(Batch(tokens=rows[:2, :4], target=rows[:2, 1:5]))
    assert not task.carried0.any()  # another size: nothing that could be carried on
    kept = task.carried0.clone()
    task.eval()
    task.loss(loader.batch(0))
    assert torch.equal(task.carried0, kept)


def test_rows_that_follow_take_in_everything():
    order = Following(17, 5)(0, 0)
    assert order.tolist() == [0, 3, 6, 9, 12, 1, 4, 7, 10, 13, 2, 5, 8, 11, 14, 15, 16]


def test_words_are_hidden_as_the_paper_has_it():
    keyed.reseed(0)
    task = MaskedLanguage(MaskedBERT(BERT(50, 8, 2, 1, 64)), SGD(0.1), mask=UNKNOWN)
    tokens = torch.randint(4, 50, (400, 64), generator=keyed.generator(1))
    kept = torch.ones(400, 64, dtype=torch.bool)
    kept[:, 60:] = False
    for _ in range(2):
        read, target = task.hidden(tokens, kept)
        chosen = target >= 0
        assert not chosen[:, 60:].any()
        assert chosen[:, :60].float().mean() == pytest.approx(0.15, abs=0.005)
        assert (read[chosen] == UNKNOWN).float().mean() == pytest.approx(0.8, abs=0.02)
        assert (read[chosen] == tokens[chosen]).float().mean() == pytest.approx(0.1 + 0.1 / 50, abs=0.02)
        assert torch.equal(read[~chosen], tokens[~chosen])
        assert torch.equal(target[chosen], tokens[chosen])
        task.eval()
    again = task.hidden(tokens, kept)
    assert torch.equal(read, again[0])  # an evaluation asks what the one before did


@pytest.mark.slow
def test_hidden_words_are_found(tmp_path):
    text = "the red cat sat on the red mat . the blue dog lay on the blue rug . "
    codec = TextCodec(words([text], least=1).to_str())
    row = torch.tensor(codec.numbers(text * 60)).numpy()
    keyed.reseed(0)
    task = MaskedLanguage(MaskedBERT(BERT(codec.vocabulary, 32, 2, 2, 18, dropout=0.0)), AdamW(3e-3), mask=UNKNOWN)
    fit(task, Loader(Windows(row, 18), 32), steps=400)
    asked = codec.encode("the red cat sat on the red mat . the blue dog lay on the strange rug .")["tokens"]
    assert int((asked == UNKNOWN).sum()) == 1
    task.eval()
    assert codec.text(task.predict(tokens=asked[None])[0].tolist()).split()[15] == "blue"


REVERSED = [(" ".join(w), " ".join(reversed(w))) for w in ("abcd", "dcab", "bd", "cab", "dab", "acbd", "bca", "cd")]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["transformer", "recurrent"])
def test_translation_is_learned_scored_and_answered(kind, tmp_path):
    """Words in the opposite order; a score of 100 is every word at its place."""
    codec = TextCodec(characters([a for a, _ in REVERSED]).to_str(), 16)
    data = datasets.pairs([REVERSED * 8, REVERSED, REVERSED], codec)
    keyed.reseed(0)
    if kind == "transformer":
        model = Transformer(codec.vocabulary, 32, 2, 1, SinusoidalPositions(32), dropout=0.0)
    else:
        model = RecurrentTranslator(GRU(), codec.vocabulary, 32, DotScore(32), dropout=0.0)
    task = Translate(model, AdamW(5e-3), codec, label_smoothing=0.0, beams=3, most=10)
    result = train(Experiment(task, data, batch=16, steps=200), tmp_path / "run")
    assert result.scores["test"]["loss"] < 0.1
    found = load(result.folder).predict(["a b c d", "c d"])
    assert [answer["text"] for answer in found] == ["d c b a", "d c"]
    task = Summarise(model, AdamW(5e-3), codec, beams=2, most=10)
    assert evaluate(task, data.test).scores["rouge_l"] == pytest.approx(100)


def test_an_answer_does_not_hang_on_what_is_asked_beside_it():
    """An end that is never likely: a text of one token is answered by twelve, beside one of six too."""
    keyed.reseed(0)
    codec = TextCodec(characters(["abcdef"]).to_str())
    model = Transformer(codec.vocabulary, 16, 2, 1, SinusoidalPositions(16), dropout=0.0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    bias = (torch.arange(codec.vocabulary) == codec.end) * -50.0
    model.logits.bias = torch.nn.Parameter(bias)
    task = Translate(model, SGD(0.1), codec, beams=3, most=40).eval()
    tokens, kept = torch.tensor([[5, 0, 0, 0, 0, 0], [4, 5, 6, 7, 8, 9]]), torch.ones(2, 6, dtype=torch.bool)
    kept[0, 1:] = False
    together = task.predict(tokens=tokens, kept=kept)
    assert (together != codec.end).sum(1).tolist() == [12, 22]
    assert torch.equal(together[:1], task.predict(tokens=tokens[:1, :1], kept=kept[:1, :1]))


def test_smoothing_is_of_training_alone():
    keyed.reseed(0)
    codec = TextCodec(characters(["abc"]).to_str())
    model = Transformer(codec.vocabulary, 8, 2, 1, SinusoidalPositions(8), dropout=0.0)
    task = Translate(model, SGD(0.1), codec, label_smoothing=0.3, most=3)
    data = Texts([[4, 5], [6]], [[5], [4, 6]])
    batch = data.gather(torch.arange(2))
    metrics = task.metrics()
    task.evaluate(batch, metrics)
    answer = torch.tensor([[2, 5, 0], [2, 4, 6]])
    logs = model(batch["tokens"], answer, batch["kept"]).log_softmax(2)
    meant = -(logs[0, 0, 5] + logs[0, 1, 3] + logs[1, 0, 4] + logs[1, 1, 6] + logs[1, 2, 3]) / 5
    torch.testing.assert_close(metrics.compute()["loss"], meant)
    assert task.loss(batch).value().item() != pytest.approx(meant.item())


@pytest.mark.slow
def test_capitals_are_put_back(real_data):
    """A label a word, on real text: which words of Shakespeare's were written with a capital."""
    lines = [line.split() for line in SHAKESPEARE.find().read_text().splitlines() if len(line.split()) > 3]
    rows = [[(word.lower(), "capital" if word[0].isupper() else "small") for word in line] for line in lines]
    parts = datasets.by_key(rows[:6000])
    data = datasets.tagged(parts, name="capitals")
    keyed.reseed(0)
    encoder = RecurrentEncoder(LSTM(), data.codec.vocabulary, 32, 64)
    task = Tag(Tagger(encoder, 64, 2), AdamW(3e-3))
    fit(task, Loader(data.train, 32), steps=300)
    found = evaluate(task, data.test).scores["accuracy"]
    labels = [label for row in parts[2] for _, label in row]
    small = labels.count("small") / len(labels)
    assert found > 0.93 > small
    codec = data.codec
    assert isinstance(codec, TagCodec)
    given = codec.encode("the king of england")
    tags = codec.answer("the king of england", task.eval().predict(tokens=given["tokens"][None])[0])["tags"]
    assert [word for word, _ in tags] == ["the", "king", "of", "england"]
    assert tags[0][1] == "capital"


@pytest.mark.slow
def test_answers_are_found_in_a_text(tmp_path):
    """The file's form is SQuAD's; the place that somebody went to stands in the text."""
    people, places = ("mary", "john", "anna"), ("garden", "kitchen", "office", "cellar")
    paragraphs = []
    for number in range(300):
        draw = keyed.permutation(12, number).tolist()
        went = [(people[i], places[draw[i] % 4]) for i in range(3)]
        text = " ".join(f"{who} went to the {where}." for who, where in went)
        who, where = went[draw[5] % 3]
        begin = text.index(f"{who} went to the ") + len(f"{who} went to the ")
        qas = [{"question": f"where is {who}?", "answers": [{"text": where, "answer_start": begin}]}]
        paragraphs.append({"context": text, "qas": qas})
    (tmp_path / "asked.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    rows = datasets.squad(tmp_path / "asked.json")
    data = datasets.questions([rows[:220], rows[220:260], rows[260:]], vocabulary=300, length=40)
    keyed.reseed(0)
    network = Tagger(BERT(data.codec.vocabulary, 48, 4, 2, 40, dropout=0.0), 48, classes=2, dropout=0.0)
    result = train(Experiment(Answer(network, AdamW(2e-3)), data, batch=32, steps=300), tmp_path / "run")
    assert result.scores["test"]["exact"] > 0.9
    text = "anna went to the office. john went to the garden. mary went to the cellar. where is john?"
    assert load(result.folder).predict(text)["text"] == "garden"


def test_the_best_stretch_is_in_order_short_and_inside():
    task = Answer(Tagger(BERT(11, 8, 2, 1, 9), 8, classes=2), SGD(0.1), most=2)
    first = torch.tensor([[0.0, 1, 5, 0, 4]])
    last = torch.tensor([[0.0, 9, 1, 3, 8]])
    assert task._best(torch.stack([first, last], 2)).tolist() == [[4, 4]]
    tokens, segments = torch.ones(1, 5, dtype=torch.int64), torch.tensor([[0, 0, 1, 1, 1]])
    logits = task(tokens=tokens, segments=segments)
    assert torch.isinf(logits[0, :2]).all()
    assert torch.isfinite(logits[0, 2:]).all()


@pytest.mark.parametrize("wrong", ["what is it?", "no question here.", {"text": "a"}])
def test_an_answer_wants_a_text_and_a_question(wrong):
    codec = AnswerCodec(words(["what is it no question here a"], least=1).to_str())
    with pytest.raises(BadData, match="give a text and a question"):
        codec.encode(wrong)


def test_sentences_are_points_of_length_one_told_apart_by_their_own():
    keyed.reseed(0)
    task = Sentences(BERT(11, 8, 2, 1, 9, dropout=0.0), SGD(0.1), MeanOfTokens(), temperature=0.5)
    data = Texts([[1, 2], [3, 4, 5], [6]], [[2, 1], [5], [6, 7]], end=None)
    batch = data.gather(torch.arange(3))
    a = task(batch["tokens"], batch["kept"])
    torch.testing.assert_close(a.norm(dim=1), torch.ones(3))
    b = torch.cat([task(torch.tensor([row])) for row in ([2, 1], [5], [6, 7])])
    found = task.loss(batch)
    assert found.coupled
    torch.testing.assert_close(found.value(), info_nce(a, b, 0.5).value())


@pytest.mark.slow
def test_descriptions_find_their_synopses(real_data):
    data = datasets.synopses(3000, 48)
    keyed.reseed(0)
    task = Sentences(BERT(data.codec.vocabulary, 64, 2, 1, 48, dropout=0.0), AdamW(2e-3))
    before = evaluate(task, data.test, batch=100).scores["found"]
    fit(task, Loader(data.train, 64), steps=150)
    after = evaluate(task, data.test, batch=100).scores["found"]
    assert before < 0.15
    assert after > 0.4


def test_before_it_learns_all_tokens_are_alike():
    """Untaught, every token is about as likely as any other."""
    keyed.reseed(0)
    task = Language(GPT(65, 32, 2, 2, Rotary(16)), SGD(0.1))
    tokens = torch.randint(0, 65, (8, 32))
    loss = task.loss(Batch(tokens=tokens, target=tokens.roll(-1, 1))).value()
    assert float(loss) == pytest.approx(math.log(65), abs=0.2)
