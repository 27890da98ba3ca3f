"""A network that takes its time, whatever the machine."""

import time

import keras
import tensorflow as tf

SECONDS_A_BATCH = 0.15


@keras.saving.register_keras_serializable("tests")
class Slowly(keras.layers.Layer):
    """Passes its input on, after a while."""

    def call(self, inputs):
        """The input."""
        waited = tf.numpy_function(_wait, [], tf.float32)
        return inputs + tf.stop_gradient(tf.reshape(waited, ()))


def _wait():
    time.sleep(SECONDS_A_BATCH)
    return tf.constant(0.0).numpy()


class SlowModel:
    """One convolution, slowly."""

    def __init__(self, input_shape, tasks, **options):
        images = keras.Input(input_shape)
        hidden = keras.layers.Conv2D(4, 3, strides=2, activation="relu")(images)
        hidden = Slowly()(keras.layers.GlobalAveragePooling2D()(hidden))
        outputs = {task: keras.layers.Dense(1, name=task)(hidden) for task in tasks}
        self.model = keras.Model(images, outputs)
