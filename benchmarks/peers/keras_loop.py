"""Keras 3: ``compile`` and ``fit``, on whichever backend the environment names."""

from __future__ import annotations

from contextlib import suppress

import keras
import numpy as np
from keras import layers, ops
from workloads import LR, Meter, Workload


class Places(layers.Layer):
    """Adds a learned vector to each place."""

    def build(self, shape: tuple) -> None:
        self.table = self.add_weight(shape=shape[1:], initializer="random_normal")

    def call(self, x: object) -> object:
        return ops.add(x, self.table)


class Measured(Exception):
    pass


class Metered(keras.callbacks.Callback):
    def __init__(self, meter: Meter):
        super().__init__()
        self.meter = meter

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        if self.meter.tick():
            raise Measured


def mlp(x: object) -> object:
    x = layers.Flatten()(x)
    for width in (128, 64):
        x = layers.Dense(width, activation="relu")(x)
    return layers.Dense(10)(x)


def cnn(x: object) -> object:
    for width in (32, 64):
        x = layers.MaxPooling2D()(layers.Conv2D(width, 3, padding="same", activation="relu")(x))
    return layers.Dense(10)(layers.Dense(128, activation="relu")(layers.Flatten()(x)))


def resnet20(x: object) -> object:
    def normed(x: object, width: int, side: int, stride: int = 1) -> object:
        x = layers.Conv2D(width, side, stride, padding="same", use_bias=False)(x)
        return layers.BatchNormalization(epsilon=1e-5)(x)

    x = layers.ReLU()(normed(x, 16, 3))
    before = 16
    for width in (16, 32, 64):
        for place in range(3):
            stride = 2 if place == 0 and width > 16 else 1
            y = normed(layers.ReLU()(normed(x, width, 3, stride)), width, 3)
            x = x if before == width and stride == 1 else layers.Conv2D(width, 1, stride, use_bias=False)(x)
            x, before = layers.ReLU()(layers.Add()([y, x])), width
    return layers.Dense(10)(layers.GlobalAveragePooling2D()(x))


def lstm(x: object) -> object:
    return layers.Dense(10)(layers.LSTM(128)(x))


def gpt(x: object, depth: int, width: int, heads: int) -> object:
    y = Places()(layers.Embedding(65, width)(x))
    for _ in range(depth):
        z = layers.LayerNormalization(epsilon=1e-5)(y)
        y = layers.Add()([y, layers.MultiHeadAttention(heads, width // heads)(z, z, use_causal_mask=True)])
        z = layers.Dense(4 * width, activation="gelu")(layers.LayerNormalization(epsilon=1e-5)(y))
        y = layers.Add()([y, layers.Dense(width)(z)])
    return layers.Dense(65, use_bias=False)(layers.LayerNormalization(epsilon=1e-5)(y))


MODELS = {
    "mlp": mlp,
    "cnn": cnn,
    "resnet20": resnet20,
    "lstm": lstm,
    "gpt-4x128": lambda x: gpt(x, 4, 128, 4),
    "gpt-6x384": lambda x: gpt(x, 6, 384, 6),
}


def measure(workload: Workload) -> dict[str, float]:
    meter = Meter(workload.batch)
    x, target = (np.ascontiguousarray(each.numpy()) for each in workload.data())
    if x.ndim == 4:
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))  # channels last, Keras's own layout
    whole = len(x) // workload.batch * workload.batch
    into = keras.Input(x.shape[1:], dtype="int32" if workload.letters else "float32")
    model = keras.Model(into, MODELS[workload.name](into))
    model.compile(
        keras.optimizers.AdamW(LR, weight_decay=0.0), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    with suppress(Measured):
        model.fit(x[:whole], target[:whole], workload.batch, epochs=1_000_000, verbose=0, callbacks=[Metered(meter)])
    return meter.row()
