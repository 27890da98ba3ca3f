"""Where the network runs: the default device, or all GPUs of the node."""

import tensorflow as tf


def device_strategy() -> tf.distribute.Strategy:
    """Keras' default strategy on one device, ``MirroredStrategy`` on several GPUs.

    CTLearn's tools always make a MirroredStrategy; on a single device it only costs time.
    """
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()
