"""The balanced loss in `fit` of Keras 3 on JAX, which hands labels to a loss as floats."""

import os

os.environ["KERAS_BACKEND"] = "jax"

import keras

from balanced_jax.losses import balanced_loss, masked_mean
from balanced_jax.masks import valid_mask


def loss(labels, logits):
    """Return the balanced loss of a batch. A tensor of Keras on JAX is an array of JAX."""
    labels = labels.astype("int32")
    return masked_mean(balanced_loss(logits, labels, window=3), valid_mask(labels, 3))


def train(images, labels, steps):
    """Train on images [B, H, W, 1] and labels [B, H, W]; return the loss of every step."""
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.layers.Conv2D(8, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(3, 1),  # no softmax: the loss takes logits
        ]
    )
    network.compile(optimizer=keras.optimizers.Adam(3e-2), loss=loss)
    history = network.fit(images, labels, batch_size=len(images), epochs=steps, verbose=0)
    return history.history["loss"]
