"""JAX and optax: one jitted call a step, or a scan over several."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import jax
import numpy as np
import optax
from jax import lax
from jax import numpy as jnp
from workloads import LR, Meter, Workload

Weights = dict[str, Any]
CHUNK = 16
"""Steps of one scan."""


def linear(draw: np.random.Generator, inner: int, outer: int) -> Weights:
    bound = 1 / math.sqrt(inner)
    return {"w": draw.uniform(-bound, bound, (inner, outer)), "b": draw.uniform(-bound, bound, outer)}


def conv(draw: np.random.Generator, inner: int, outer: int, side: int = 3) -> np.ndarray:
    bound = 1 / math.sqrt(inner * side * side)
    return draw.uniform(-bound, bound, (side, side, inner, outer))


def convolved(x: jax.Array, weight: jax.Array, stride: int = 1) -> jax.Array:
    return lax.conv_general_dilated(x, weight, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def mapped(x: jax.Array, p: Weights) -> jax.Array:
    return x @ p["w"] + p["b"]


def pooled(x: jax.Array) -> jax.Array:
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def mlp(draw: np.random.Generator) -> tuple[Weights, Callable]:
    sizes = (784, 128, 64, 10)
    weights = {str(i): linear(draw, a, b) for i, (a, b) in enumerate(pairwise(sizes))}

    def forward(p: Weights, x: jax.Array) -> jax.Array:
        x = jax.nn.relu(mapped(x.reshape(len(x), -1), p["0"]))
        return mapped(jax.nn.relu(mapped(x, p["1"])), p["2"])

    return weights, forward


def cnn(draw: np.random.Generator) -> tuple[Weights, Callable]:
    weights = {
        "c1": {"w": conv(draw, 3, 32), "b": np.zeros(32)},
        "c2": {"w": conv(draw, 32, 64), "b": np.zeros(64)},
        "d1": linear(draw, 4096, 128),
        "d2": linear(draw, 128, 10),
    }

    def forward(p: Weights, x: jax.Array) -> jax.Array:
        for name in ("c1", "c2"):
            x = pooled(jax.nn.relu(convolved(x, p[name]["w"]) + p[name]["b"]))
        return mapped(jax.nn.relu(mapped(x.reshape(len(x), -1), p["d1"])), p["d2"])

    return weights, forward


def resnet20(draw: np.random.Generator) -> tuple[Weights, Callable]:
    """Batch statistics normalise; running averages, which only evaluation reads, are left out in JAX's favour."""

    def norm(width: int) -> Weights:
        return {"scale": np.ones(width), "shift": np.zeros(width)}

    weights: Weights = {"stem": conv(draw, 3, 16), "norm": norm(16), "head": linear(draw, 64, 10)}
    shape = [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2 + [(32, 64, 2)] + [(64, 64, 1)] * 2
    for i, (before, width, _) in enumerate(shape):
        block = {"c1": conv(draw, before, width), "c2": conv(draw, width, width), "n1": norm(width), "n2": norm(width)}
        weights[f"b{i}"] = block | ({"short": conv(draw, before, width, 1)} if before != width else {})

    def normed(x: jax.Array, p: Weights) -> jax.Array:
        mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
        return (x - mean) * (lax.rsqrt(var + 1e-5) * p["scale"]) + p["shift"]

    def forward(p: Weights, x: jax.Array) -> jax.Array:
        x = jax.nn.relu(normed(convolved(x, p["stem"]), p["norm"]))
        for i, (_, _, stride) in enumerate(shape):
            b = p[f"b{i}"]
            y = jax.nn.relu(normed(convolved(x, b["c1"], stride), b["n1"]))
            short = convolved(x, b["short"], stride) if "short" in b else x
            x = jax.nn.relu(normed(convolved(y, b["c2"]), b["n2"]) + short)
        return mapped(x.mean((1, 2)), p["head"])

    return weights, forward


def lstm(draw: np.random.Generator) -> tuple[Weights, Callable]:
    weights = {"x": linear(draw, 128, 512), "h": linear(draw, 128, 512), "head": linear(draw, 128, 10)}

    def forward(p: Weights, x: jax.Array) -> jax.Array:
        def cell(state: tuple, part: jax.Array) -> tuple:
            h, c = state
            i, f, g, o = jnp.split(part + mapped(h, p["h"]), 4, 1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

        zero = jnp.zeros((len(x), 128))
        (h, _), _ = lax.scan(cell, (zero, zero), mapped(x, p["x"]).swapaxes(0, 1))
        return mapped(h, p["head"])

    return weights, forward


def gpt(draw: np.random.Generator, layers: int, width: int, heads: int, context: int) -> tuple[Weights, Callable]:
    def norm() -> Weights:
        return {"scale": np.ones(width), "shift": np.zeros(width)}

    weights: Weights = {
        "token": draw.normal(size=(65, width)),
        "place": draw.normal(size=(context, width)),
        "norm": norm(),
        "head": linear(draw, width, 65)["w"],
    }
    for i in range(layers):
        weights[f"b{i}"] = {
            "n1": norm(),
            "n2": norm(),
            "qkv": linear(draw, width, 3 * width),
            "out": linear(draw, width, width),
            "up": linear(draw, width, 4 * width),
            "down": linear(draw, 4 * width, width),
        }
    mask = np.tril(np.ones((context, context), bool))

    def normed(x: jax.Array, p: Weights) -> jax.Array:
        mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return (x - mean) * lax.rsqrt(var + 1e-5) * p["scale"] + p["shift"]

    def forward(p: Weights, x: jax.Array) -> jax.Array:
        y = p["token"][x] + p["place"]
        for i in range(layers):
            b = p[f"b{i}"]
            qkv = mapped(normed(y, b["n1"]), b["qkv"]).reshape(*y.shape[:2], 3, heads, width // heads)
            q, k, v = (qkv[:, :, j].swapaxes(1, 2) for j in range(3))
            scores = q @ k.swapaxes(2, 3) / math.sqrt(width // heads)
            attended = jax.nn.softmax(jnp.where(mask, scores, -jnp.inf)) @ v
            y = y + mapped(attended.swapaxes(1, 2).reshape(y.shape), b["out"])
            y = y + mapped(jax.nn.gelu(mapped(normed(y, b["n2"]), b["up"]), approximate=False), b["down"])
        return normed(y, p["norm"]) @ p["head"]

    return weights, forward


MODELS: dict[str, Callable[[np.random.Generator], tuple[Weights, Callable]]] = {
    "mlp": mlp,
    "cnn": cnn,
    "resnet20": resnet20,
    "lstm": lstm,
    "gpt-4x128": lambda draw: gpt(draw, 4, 128, 4, 64),
    "gpt-6x384": lambda draw: gpt(draw, 6, 384, 6, 256),
}


def measure(workload: Workload, chunk: int = 1) -> dict[str, float]:
    meter = Meter(workload.batch)
    draw = np.random.default_rng(0)
    weights, forward = MODELS[workload.name](draw)
    weights = jax.tree.map(lambda w: jnp.asarray(w, jnp.float32), weights)
    optimizer = optax.adamw(LR, weight_decay=0.0)
    x, target = (np.ascontiguousarray(each.numpy()) for each in workload.data())
    if x.ndim == 4:
        x = x.transpose(0, 2, 3, 1)  # channels last, as XLA's convolutions like it on CPU
    inputs, targets = jnp.asarray(x), jnp.asarray(target)

    def step(state: tuple, index: jax.Array) -> tuple:
        weights, moments = state

        def loss(weights: Weights) -> jax.Array:
            logits = forward(weights, inputs[index])
            return optax.softmax_cross_entropy_with_integer_labels(logits, targets[index]).mean()

        value, gradient = jax.value_and_grad(loss)(weights)
        change, moments = optimizer.update(gradient, moments, weights)
        return (optax.apply_updates(weights, change), moments), value

    many = jax.jit(lambda state, indices: lax.scan(step, state, indices), donate_argnums=0)
    single = jax.jit(step, donate_argnums=0)
    state = (weights, optimizer.init(weights))
    while True:
        order = draw.permutation(len(x))
        steps = len(order) // (workload.batch * chunk) * chunk
        batches = order[: steps * workload.batch].reshape(-1, chunk, workload.batch)
        for indices in batches:
            state, value = single(state, indices[0]) if chunk == 1 else many(state, indices)
            jax.block_until_ready(value)
            if meter.tick(chunk):
                return meter.row()
