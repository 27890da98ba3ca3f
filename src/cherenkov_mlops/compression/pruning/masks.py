"""Which weights stay: masks by magnitude, for single weights, groups of four and blocks."""

from collections.abc import Mapping

import numpy as np

#: Two of four neighbours along the input channels are zero, as GPUs with sparse cores want it.
GROUP, KEPT_OF_GROUP = 4, 2


def count_kept(n: int, sparsity: float) -> int:
    """Number of weights that stay; at least one, as in tensorflow_model_optimization."""
    # In float32 as there, so that the same weights stay.
    return int(max(np.round(np.float32(n) * (1 - np.float32(sparsity))), 1))


def mask_weights(weights: np.ndarray, sparsity: float) -> tuple[np.ndarray, float]:
    """Mask of the largest weights, and the smallest magnitude among them.

    Parameters
    ----------
    weights : array
        Any shape.
    sparsity : float
        Share that is masked, 0 to 1; exact to one weight.
    """
    return _keep_largest(np.abs(weights), count_kept(weights.size, sparsity))


def _keep_largest(magnitudes: np.ndarray, n_kept: int) -> tuple[np.ndarray, float]:
    flat = magnitudes.reshape(-1)
    first = flat.size - n_kept
    # Stable, so that equal magnitudes give the same mask on any machine.
    order = np.argsort(flat, kind="stable")
    mask = np.zeros(flat.size, dtype=bool)
    mask[order[first:]] = True
    return mask.reshape(magnitudes.shape), float(flat[order[first]])


def mask_groups(weights: np.ndarray) -> np.ndarray:
    """Mask of the two largest of each four neighbours along the input channels.

    Parameters
    ----------
    weights : array
        Kernel, shape (..., n_in, n_out), with n_in a multiple of four.
    """
    last = np.moveaxis(np.abs(weights), -2, -1)
    groups = last.reshape(*last.shape[:-1], -1, GROUP)
    rank = np.argsort(np.argsort(-groups, axis=-1, kind="stable"), axis=-1, kind="stable")
    return np.moveaxis((rank < KEPT_OF_GROUP).reshape(last.shape), -1, -2)


def fits_groups(shape: tuple[int, ...]) -> bool:
    """Whether a kernel of this shape can be divided into groups along its input channels."""
    return len(shape) >= 2 and shape[-2] % GROUP == 0


def mask_blocks(
    weights: np.ndarray, sparsity: float, block: tuple[int, int]
) -> tuple[np.ndarray, float]:
    """Mask of the blocks with the largest mean magnitude, and the smallest mean among them.

    Parameters
    ----------
    weights : array
        Kernel, shape (..., n_in, n_out); taken as a matrix with n_out columns.
    sparsity : float
        Share of the blocks that is masked.
    block : tuple of int
        Rows and columns of a block; blocks at the edges are smaller where they do not fit.
    """
    matrix = np.abs(weights).reshape(-1, weights.shape[-1])
    rows, columns = block
    starts = np.arange(0, matrix.shape[0], rows), np.arange(0, matrix.shape[1], columns)
    sums = np.add.reduceat(np.add.reduceat(matrix, starts[0], axis=0), starts[1], axis=1)
    sizes = np.outer(*(np.diff([*first, n]) for first, n in zip(starts, matrix.shape, strict=True)))
    means = sums / sizes
    kept, threshold = _keep_largest(means, count_kept(means.size, sparsity))
    mask = np.repeat(np.repeat(kept, rows, axis=0), columns, axis=1)
    return mask[: matrix.shape[0], : matrix.shape[1]].reshape(weights.shape), threshold


def share_sparsity(
    weights: Mapping[str, np.ndarray], sparsity: float, cap: float
) -> dict[str, float]:
    """Name -> sparsity of each kernel, by one threshold for all of them.

    No kernel gets sparser than ``cap``: one threshold alone would empty layers of small weights.
    What a capped one keeps more, the others keep less, so that all together have the sparsity.

    Parameters
    ----------
    weights : mapping of str to array
        Kernels by name.
    sparsity, cap : float
        Of all of them, and of the sparsest one.
    """
    magnitudes = {name: np.sort(np.abs(values), axis=None) for name, values in weights.items()}
    n_weights = sum(map(len, magnitudes.values()))
    n_zero = n_weights - count_kept(n_weights, sparsity)
    capped: dict[str, int] = {}
    while True:
        free = {name: values for name, values in magnitudes.items() if name not in capped}
        left = n_zero - sum(capped.values())
        zeros = _split_by_threshold(free, max(left, 0))
        over = {
            name: limit
            for name, values in free.items()
            if zeros[name] > (limit := len(values) - count_kept(len(values), cap))
        }
        if not over:
            counts = capped | zeros
            return {name: counts[name] / len(values) for name, values in magnitudes.items()}
        capped |= over


def _split_by_threshold(magnitudes: Mapping[str, np.ndarray], n_zero: int) -> dict[str, int]:
    """Name -> number of weights below the threshold that ``n_zero`` of all weights are below."""
    if not magnitudes:
        return {}
    every = np.concatenate(list(magnitudes.values()))
    n_zero = min(n_zero, every.size)
    owner = np.repeat(np.arange(len(magnitudes)), [len(values) for values in magnitudes.values()])
    smallest = np.argsort(every, kind="stable")[:n_zero]
    counts = np.bincount(owner[smallest], minlength=len(magnitudes))
    return dict(zip(magnitudes, map(int, counts), strict=True))
