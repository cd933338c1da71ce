"""GAN: its games and penalties against formulas, who moves whom, what is drawn, refused, resumed; eight modes found."""

from dataclasses import dataclass
from pathlib import Path

import jaxtyping
import pytest
import torch
from torch import nn

from descend.data import Batch, Loader, PictureCodec, Splits, Tensors, datasets
from descend.engine import Clock, Compute, Experiment, Observer, Predictor, Ranks, evaluate, fit, load, train
from descend.engine.policy import WAYS
from descend.engine.rehearsal import Rehearsal
from descend.engine.setting import Setting
from descend.functional import keyed
from descend.metrics import sliced_wasserstein
from descend.models import MLP, ConvCritic, ConvGenerator, Spectral
from descend.optim import EMA, SGD, Adam
from descend.tasks import GAN, R1, GradientPenalty, Hinge, NonSaturating, Penalty, Wasserstein
from tests.killing import Page, differing, killed, unbroken
from tests.paradigms import ring
from tests.tasks.generative import page


def drawn(*shape, key=1):
    return torch.randn(*shape, generator=keyed.generator(key))


def pictures(n=12, key=1):
    generator = keyed.generator(key)
    return Batch(x=torch.rand(n, 1, 8, 8, generator=generator), target=torch.randint(3, (n,), generator=generator))


def small(average=None, norm=None, **how):
    keyed.reseed(0)
    return GAN(
        ConvGenerator((1, 8, 8), 5, 3, (6, 4)),
        ConvCritic((1, 8, 8), 3, (4, 6), 8, norm),
        Adam(1e-2, average=average),
        Adam(1e-2),
        (1, 8, 8),
        5,
        3,
        **how,
    )


def points(game, penalties=(), width=64, **how):
    keyed.reseed(0)
    return GAN(
        MLP(2, width, width, width, out=2),
        MLP(2, width, width, out=1),
        Adam(1e-3, betas=(0.5, 0.9), average=EMA(0.99)),
        Adam(2e-3, betas=(0.5, 0.9)),
        (2,),
        2,
        game=game,
        penalties=penalties,
        **how,
    )


def log1pexp(x):
    return (1 + x.exp()).log()


FORMULAS = {
    NonSaturating(): (lambda real, made: log1pexp(-real) + log1pexp(made), lambda made: log1pexp(-made)),
    Wasserstein(): (lambda real, made: made - real, lambda made: -made),
    Hinge(): (lambda real, made: (1 - real) * (real < 1) + (1 + made) * (made > -1), lambda made: -made),
}


@pytest.mark.parametrize("game", FORMULAS)
def test_a_game_is_its_formula_with_its_gradient(game):
    logits = [(3 * drawn(9, key=key)).double().requires_grad_() for key in (1, 2)]
    judged, fooled = FORMULAS[game]
    for found, expected, by in (
        (game.judged(*logits), judged(*logits), logits),
        (game.fooled(logits[1]), fooled(logits[1]), logits[1:]),
    ):
        torch.testing.assert_close(found, expected)
        for one, other in zip(*(torch.autograd.grad(y.sum(), by) for y in (found, expected)), strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("game", FORMULAS)
def test_the_losses_are_the_games_means_over_real_and_made(game):
    """Made from noise that the step's own generator draws, of the classes that the batch names."""
    task, batch = small(game=game), pictures()
    judged, fooled = FORMULAS[game]
    keyed.reseed(5)
    made = task.generator(torch.randn(12, 5), batch["target"])
    said = [task.critic(x, batch["target"]).double() for x in (batch["x"], made)]
    for loss, network, expected in (
        (task.critic_loss, task.critic, judged(*said).mean()),
        (task.generator_loss, task.generator, fooled(said[1]).mean()),
    ):
        keyed.reseed(5)
        found = loss(batch)
        assert found.coupled
        torch.testing.assert_close(found.value().double(), expected, rtol=1e-5, atol=1e-6)
        weights = list(network.parameters())
        gradients = [torch.autograd.grad(y, weights, retain_graph=True) for y in (found.value(), expected)]
        for one, other in zip(*gradients, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_penalties_on_a_linear_critic():
    """D(x) = w · x has the slope w everywhere: λ (‖w‖ - 1)² and γ/2 ‖w‖²."""
    w, real, made = drawn(7).double().requires_grad_(), drawn(5, 7, key=2).double(), drawn(5, 7, key=3).double()
    for penalty, closed, slope in (
        (GradientPenalty(3.0), 3 * (w.norm() - 1) ** 2, 2 * 3 * (w.norm() - 1) * w / w.norm()),
        (R1(4.0), 2 * w.square().sum(), 4 * w),
    ):
        found = penalty(lambda x: x @ w, real, made)
        torch.testing.assert_close(found, closed.expand(5))
        torch.testing.assert_close(torch.autograd.grad(found.mean(), w)[0], slope)


def test_penalties_are_taken_where_they_say():
    """D(x) = ‖x‖²/2 has the slope x: R1 is of real samples, the other penalty of points on the way from one to the
    other, anywhere, a sample each."""
    real, made = torch.ones(400, 4), torch.zeros(400, 4)
    judge = lambda x: x.square().sum(1) / 2  # noqa: E731
    torch.testing.assert_close(R1(1.0)(judge, real, made), torch.full((400,), 2.0))
    found = GradientPenalty(1.0)(judge, real, made)
    share = (1 - found.sqrt()) / 2, (1 + found.sqrt()) / 2  # ‖x̂‖ = 2ε is 1 ± √found
    assert share[0].min() >= 0
    assert found.max() <= 1
    assert found.mean().item() == pytest.approx(1 / 3, abs=0.05)  # E (2ε - 1)²


@dataclass(frozen=True)
class Noted(Penalty):
    """One for each sample, and when it was asked."""

    notes: tuple = ([],)

    def __call__(self, judge, real, made):
        self.notes[0].append(len(real))
        return torch.ones(len(real)) + 0 * judge(real)


def test_a_lazy_penalty_counts_as_often_as_it_is_left_out():
    task, plain = (small(penalties=each) for each in ((Noted(every=3, notes=([],)),), ()))
    notes = task.penalties[0].notes[0]
    seen = []
    for _ in range(7):
        before = len(notes)
        task.step(pictures())
        seen.append(len(notes) > before)
    assert seen == [True, False, False, True, False, False, True]
    for each, more in ((task, 3.0), (plain, 0.0)):
        keyed.reseed(1)
        game = each.critic_loss(pictures()).value()
        keyed.reseed(1)
        torch.testing.assert_close(each.penalised_loss(pictures(), each.penalties).value() - game, torch.tensor(more))


def test_each_descent_moves_its_own_network_alone():
    task = small(game=Hinge(), norm=Spectral(), penalties=(R1(),))
    state = lambda: {name: value.detach().clone() for name, value in task.named_parameters()}  # noqa: E731
    for descent, loss, own in (
        (task.judge, task.critic_loss, "critic"),
        (task.descent, task.generator_loss, "generator"),
    ):
        before = state()
        descent(loss, pictures())
        moved = {name.partition(".")[0] for name, value in state().items() if not torch.equal(value, before[name])}
        assert moved == {own}
        assert all(parameter.grad is None for parameter in task.parameters())


def test_rounds_of_the_critic_share_the_batch():
    task = small(rounds=3, penalties=(Noted(notes=([],)),))
    metrics = task.step(pictures(13))
    assert (task.judge.steps, task.descent.steps) == (3, 1)
    assert task.penalties[0].notes[0] == [5, 4, 4]
    assert set(metrics) == {"loss", "judging"}


def test_what_is_kept_and_drawn_from_is_the_average(tmp_path):
    """average ← 0.8 · average + 0.2 · weights, of the generator and its batch statistics; the critic keeps none."""
    data = Tensors(**pictures(24).tensors)
    task = small(EMA(0.8, warmup=False))
    network = task.generator
    assert task.descent.moving.average  # it begins with the first weights
    expected = [value.clone() for value in network.state_dict().values()]

    class Follow(Observer):
        def after(self, moment):
            for average, value in zip(expected, network.state_dict().values(), strict=True):
                average.copy_(0.8 * average + 0.2 * value if value.ndim else value)

    codec = PictureCodec(8, 8, 1, ("a", "b", "c"))
    experiment = Experiment(task, Splits(data, None, data, codec, "noise"), batch=8, steps=5, observers=[Follow()])
    result = train(experiment, tmp_path / "run", Compute("cpu").settled())
    kept = load(result.folder).task
    for found, value in zip(kept.generator.state_dict().values(), expected, strict=True):
        torch.testing.assert_close(found, value)
    asked = Batch(target=torch.tensor([0, 1, 2, 2]))
    network.load_state_dict(dict(zip(network.state_dict(), expected, strict=True)))
    assert not torch.equal(task.sample(4, 1, asked), small().sample(4, 1, asked))
    torch.testing.assert_close(kept.sample(4, 1, asked), task.sample(4, 1, asked))
    assert set(result.scores["test"]) == {"distance", "real", "made"}
    with pytest.raises(ValueError, match="descend sample RUN"):
        load(result.folder).predict(data.tensors["x"][0])


def test_a_sample_depends_on_its_number_the_seed_and_its_class_alone():
    task = small().train()
    nn.init.normal_(task.generator.norms[0].styles.weight)  # at first all classes are alike
    target = torch.arange(600) % 3
    many = task.sample(600, 4, Batch(target=target))
    torch.testing.assert_close(task.sample(7, 4, Batch(target=target[:7])), many[:7])
    assert task.training
    others = task.sample(7, 5, Batch(target=target[:7])), task.sample(7, 4, Batch(target=(target[:7] + 1) % 3))
    assert not any(torch.allclose(one, each) for other in others for one, each in zip(other, many, strict=False))


def test_unasked_all_classes_are_drawn_alike_often():
    task = small()
    nn.init.normal_(task.generator.norms[0].styles.weight)
    free = task.sample(600, 4)
    torch.testing.assert_close(task.sample(7, 4), free[:7])
    each = [task.sample(600, 4, Batch(target=torch.full((600,), number))) for number in range(3)]
    of_class = torch.stack([(free - one).flatten(1).norm(dim=1) < 1e-5 for one in each])
    assert of_class.sum(0).tolist() == [1] * 600
    assert of_class.sum(1).min() > 150


def test_scores_are_the_same_every_time_and_for_any_batch_size():
    task = small()
    data = Tensors(**pictures(30).tensors)
    task.eval()
    found = [evaluate(task, data, batch=size).scores for size in (30, 7)]
    assert found[0] == pytest.approx(found[1], rel=1e-4)
    assert evaluate(task, data, batch=30).scores == found[0]
    from descend.tasks.generative.generative import numbers

    with torch.no_grad():
        made, (x, target) = task(numbers(30, (5,), 0), data.tensors["target"]), data.tensors.values()
        expected = {
            "distance": sliced_wasserstein(made, x),
            "real": task.critic(x, target).mean(),
            "made": task.critic(made, target).mean(),
        }
    assert found[0] == pytest.approx({name: value.item() for name, value in expected.items()}, rel=1e-4)


def test_what_does_not_fit_is_refused():
    task = small()
    with pytest.raises(ValueError, match=r"leaves one sample to a round, and generator.norms.0.norm is a BatchNorm2d"):
        task.step(pictures(1))
    with pytest.raises(ValueError, match="leaves one sample to a round"):
        small(rounds=2).step(pictures(3))
    points(NonSaturating()).step(Batch(x=drawn(1, 2)))  # none of its norms is over the batch
    with pytest.raises(ValueError, match="a batch of 2 cannot be shared among 3 rounds"):
        small(rounds=3).step(pictures(2))
    with pytest.raises(ValueError, match="rounds is 0: the critic is moved once or more"):
        small(rounds=0)
    with pytest.raises(ValueError, match="R1: every is 0; give 1"):
        R1(every=0)
    with pytest.raises(ValueError, match=r"give one each, 0 … 2"):
        task.sample(2, asked=Batch(target=torch.tensor([0, 3])))
    with pytest.raises(ValueError, match="this network was taught no classes"):
        points(NonSaturating()).sample(1, asked=Batch(target=torch.tensor([0])))
    with pytest.raises(ValueError, match=r"holds x and no target, and 3 classes are to be told"):
        task.step(Batch(x=pictures()["x"]))
    with pytest.raises(ValueError, match=r"the batch holds samples of \(1, 12, 12\), and shape says \(1, 8, 8\)"):
        task.step(Batch(x=torch.rand(4, 1, 12, 12), target=torch.zeros(4, dtype=torch.long)))
    task.shape = (3, 8, 8)
    with pytest.raises(ValueError, match=r"the generator gives samples of \(1, 8, 8\), and shape says \(3, 8, 8\)"):
        task.sample(1)
    loader = Loader(Tensors(x=drawn(8, 2)), 8)
    with pytest.raises(ValueError, match="couples the samples"):
        fit(points(Hinge()), loader, steps=1, compute=Compute("cpu", micro=2).settled())


def test_it_travels(tmp_path):
    for number, game in enumerate(FORMULAS):
        task = small(game=game, norm=Spectral(2), penalties=(R1(2.0, every=4), GradientPenalty(5.0)))
        task.step(pictures())
        other = load(Predictor(task, None).save(tmp_path / str(number))).task
        assert (other.game, other.penalties) == (task.game, task.penalties)
        assert torch.equal(other.sample(3, 1), task.sample(3, 1))


GAMES = {
    "nonsaturating": (NonSaturating(), (R1(0.1, every=2),), 1),
    "wasserstein": (Wasserstein(), (GradientPenalty(0.1),), 2),
    "hinge": (Hinge(), (R1(0.1),), 1),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", GAMES)
def test_a_game_finds_all_eight_modes(name):
    """Without the shape checker, which would take as long again."""
    jaxtyping.config.update("jaxtyping_disable", True)  # the fixture around every test puts it back
    game, penalties, rounds = GAMES[name]
    task, real = points(game, penalties, rounds=rounds), ring.real(256 * rounds)
    fit(task, real, steps=1500, compute=Compute("cpu", threads=1).settled())
    with task.averaged():
        made = task.sample(ring.SAMPLES, 1)
    one, other = (real.data.tensors["x"][rows : rows + ring.SAMPLES] for rows in (0, ring.SAMPLES))
    apart, least, worst = sliced_wasserstein(made, one), sliced_wasserstein(other, one), one.mean(0).expand_as(one)
    print(f"{name}: {ring.coverage(made):.3f}, {apart:.3f} apart, real from real {least:.3f}")
    assert ring.coverage(made) > 0.75
    assert apart < least + 0.1
    assert apart < 0.2 * sliced_wasserstein(worst, one)


@pytest.mark.slow
@pytest.mark.parametrize("compute", [{"compile": True}, {"graph": True}], ids=["networks", "graph"])
def test_penalties_go_on_where_networks_are_compiled(compute):
    """What is differentiated twice stays as it was written, at each step, whatever step the choice was made at."""
    loader, tasks = Loader(Tensors(x=drawn(64, 2)), 32), []
    for _ in range(2):
        keyed.reseed(0)
        networks = MLP(2, 8, out=2), MLP(2, 8, out=1)
        # Plain descent: Adam would make of rounding, where a gradient is nearly 0, a step as long as any.
        penalties = (GradientPenalty(1.0, every=2),)
        tasks.append(GAN(*networks, SGD(0.05), SGD(0.05), (2,), 2, game=Wasserstein(), penalties=penalties))
    fitted = fit(tasks[0], loader, steps=6, compute=Compute("cpu", threads=1, **compute))
    assert len(fitted.notes) == 1
    fit(tasks[1], loader, steps=6, compute=Compute("cpu", threads=1).settled())
    assert [task.judge.steps for task in tasks] == [6, 6]
    for one, other in zip(*(task.parameters() for task in tasks), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_killed_and_resumed_is_unbroken(tmp_path):
    how = Page(Path(page.__file__), seed=1, compute={"channels_last": True})
    steps = unbroken(how, tmp_path / "unbroken")
    killed(how, tmp_path / "killed", steps)
    assert differing(tmp_path / "unbroken", tmp_path / "killed") == []


def test_how_filters_lie_is_asked_without_moving_spectral_norm():
    """Its power method goes on at each look at a weight in training: a resumed run looks once more than an unbroken."""
    task = small(norm=Spectral())
    before = {name: value.clone() for name, value in task.state_dict().items()}
    rehearsal = Rehearsal(task, 0, lambda: task.step(pictures()))
    assert not any(way.worth(rehearsal, Compute("cpu").settled()) for way in WAYS if "channels_last" in way.changes)
    Setting(task, Ranks(), Clock()).install(Compute("cpu", channels_last=True).settled())
    assert all(torch.equal(value, before[name]) for name, value in task.state_dict().items())


@pytest.mark.slow
def test_plain_gradient_descent_will_do_and_data_come_from_datasets(real_data):
    """Real pictures, unconditional, by any two networks."""
    data = datasets.fashion_pictures()
    x = data.train.gather(torch.arange(64))["x"]
    keyed.reseed(0)
    generator = nn.Sequential(nn.Linear(8, 784), nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28)))
    task = GAN(generator, MLP(784, 32, out=1), SGD(3.0), SGD(0.1), (1, 28, 28), 8)
    before = evaluate(task, Tensors(x=x)).scores["distance"]
    fit(task, Loader(Tensors(x=x), 32), steps=150, compute=Compute("cpu", threads=1).settled())
    assert evaluate(task, Tensors(x=x)).scores["distance"] < 0.7 * before
