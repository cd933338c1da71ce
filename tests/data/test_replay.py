"""Replay: asked in order, saved whole, the environment brought back by its actions."""

import pytest
import torch

from descend.data import Replay


class Walk:
    """A walk along a line whose start the seed chooses; it ends at 3 steps from the start."""

    def reset(self, *, seed):
        self.start = self.at = seed % 100
        return [float(self.at)], {}

    def step(self, action):
        self.at += 1 if action else -1
        return [float(self.at)], float(action), abs(self.at - self.start) == 3, False, {}


class Coin:
    def act(self, observation):
        assert observation.shape == (1, 1)
        return int(torch.rand(()) < 0.5)


def _replay():
    stream = Replay(Walk(), Coin(), batch=5, capacity=20, acts=3, warmup=8)
    stream.seed = 4
    return stream


def test_transitions_follow_one_another():
    stream = _replay()
    batch = stream.batch(0)
    assert len(batch) == 5
    assert stream.made == 8
    moved = batch["next"][:, 0] - batch["x"][:, 0]
    assert torch.equal(moved, torch.where(batch["action"] == 1, 1.0, -1.0))
    assert torch.equal(batch["reward"], batch["action"].float())


def test_a_resumed_replay_gives_the_same_batches():
    whole = _replay()
    expected = [whole.batch(step) for step in range(12)]
    for cut in range(1, 12):
        stream = _replay()
        for step in range(cut):
            stream.batch(step)
        resumed = _replay()
        resumed.load_state_dict(stream.state_dict())
        for step in range(cut, 12):
            batch = resumed.batch(step)
            assert all(torch.equal(batch[name], expected[step][name]) for name in batch), (cut, step)


def test_a_replay_is_asked_in_order_and_on_one_rank():
    stream = _replay()
    stream.batch(0)
    with pytest.raises(ValueError, match="next is 1, not 0"):
        stream.batch(0)
    with pytest.raises(ValueError, match="one rank"):
        stream.batch(1, 0, 2)


def test_the_oldest_go_first():
    stream = _replay()
    for step in range(20):
        stream.batch(step)
    assert len(stream.state_dict()["memory"]["x"]) == 20
    assert stream.made == 8 + 19 * 3
