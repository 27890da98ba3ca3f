"""What pruning costs a training step: the same network with and without it, in turn.

``python benchmarks/pruning.py`` trains CTLearn's default SingleCNN and a ResNet of two stages
(bottleneck blocks, attention) on random images of 96 x 96 pixels in batches of 64, TensorFlow on
all cores: without pruning, with the schedule ``polynomial`` and with ``constant``. Masks are
computed every ``--frequency`` steps during the first two thirds of the steps. Seconds a step are
those of whole epochs, of which the first, in which graphs are made, is left out.

The last line is ``RESULT ratio=...``: seconds a step with pruning over those without it, the
larger of all networks and schedules.
"""

import argparse
from statistics import median

import keras
import numpy as np
from machine import describe_machine, seconds_of, take_turns
from networks import build

from cherenkov_mlops.compression.pruning.plan import make_plan
from cherenkov_mlops.compression.pruning.pruner import Pruner
from cherenkov_mlops.config.train_section import PruningSection

SHAPE, BATCH_SIZE = (96, 96, 2), 64
NETWORKS = {
    "SingleCNN": {"type": "SingleCNN", "attention_mechanism": None},
    "ResNet": {"type": "ResNet", "architecture": [{"filters": 16, "blocks": 1}] * 2},
}
SCHEDULES = ("none", "constant", "polynomial")


def main() -> None:
    """Measure and print."""
    options = read_options()
    print(describe_machine(), end="\n\n", flush=True)
    largest = 0.0
    for network in NETWORKS:
        trainings = {kind: Training(network, kind, options) for kind in SCHEDULES}
        turns = {kind: training.epoch for kind, training in trainings.items()}
        seconds = take_turns(turns, 1 + options.rounds)
        medians = {kind: median(values[1:]) / options.steps for kind, values in seconds.items()}
        for kind, value in medians.items():
            ratio = value / medians["none"]
            largest = max(largest, ratio if kind != "none" else 0.0)
            print(f"{network:10} {kind:10} {1e3 * value:8.2f} ms a step, ratio {ratio:.3f}")
    print(f"RESULT ratio={largest:.3f}")


def read_options() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=20, help="steps an epoch")
    parser.add_argument("--rounds", type=int, default=9, help="epochs of which medians are taken")
    parser.add_argument("--frequency", type=int, default=10, help="steps between two masks")
    return parser.parse_args()


class Training:
    """A network that learns one epoch at a time.

    Parameters
    ----------
    network, kind : str
        Key of ``NETWORKS``; schedule of the pruning or none.
    options : argparse.Namespace
        Steps, rounds and frequency.
    """

    def __init__(self, network: str, kind: str, options: argparse.Namespace):
        rng = np.random.default_rng(1)
        n_images = options.steps * BATCH_SIZE
        self.images = rng.random((n_images, *SHAPE), dtype=np.float32)
        self.labels = {"energy": rng.random((n_images, 1), dtype=np.float32)}
        self.model = build(NETWORKS[network], SHAPE)
        self.callbacks: list[keras.callbacks.Callback] = []
        if kind != "none":
            section = PruningSection(
                schedule=kind,
                final_sparsity=0.9,
                end_step=options.steps * options.rounds * 2 // 3,
                frequency=options.frequency,
            )
            pruner = Pruner(make_plan(section, options.steps, 1 + options.rounds))
            pruner.attach(self.model)
            self.callbacks.append(pruner)
        self.model.compile(optimizer=keras.optimizers.Adam(1e-4), loss="mae")
        self.n_done = 0

    def epoch(self) -> float:
        """Seconds of the next epoch."""
        self.n_done += 1
        return seconds_of(
            lambda: self.model.fit(
                self.images,
                self.labels,
                batch_size=BATCH_SIZE,
                initial_epoch=self.n_done - 1,
                epochs=self.n_done,
                callbacks=self.callbacks,
                verbose=0,
            )
        )


if __name__ == "__main__":
    main()
