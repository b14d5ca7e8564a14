"""Rooted trees, and the residual of Butcher's order conditions for the weights of a method."""

import functools
import itertools
import math
from collections.abc import Iterator

import numpy as np

Tree = tuple["Tree", ...]  # a rooted tree is the tuple of its root's subtrees


@functools.cache
def trees(order: int) -> tuple[Tree, ...]:
    """All rooted trees with `order` vertices; their numbers are 1, 1, 2, 4, 9, 20, 48, 115, 286."""
    found = {
        tuple(sorted(forest)) for parts in partitions(order - 1) for forest in itertools.product(*map(trees, parts))
    }
    return tuple(sorted(found))


def partitions(n: int, largest: int | None = None) -> Iterator[tuple[int, ...]]:
    if n == 0:
        yield ()
    for part in range(min(n, largest or n), 0, -1):
        for rest in partitions(n - part, part):
            yield part, *rest


def vertices(tree: Tree) -> int:
    return 1 + sum(map(vertices, tree))


def density(tree: Tree) -> int:
    """The density gamma(tree) of Hairer, Norsett & Wanner (1993), definition II.2.10."""
    return vertices(tree) * math.prod(map(density, tree))


def stage_weights(tree: Tree, a: np.ndarray) -> np.ndarray:
    """The weights Phi_j(tree) of Hairer, Norsett & Wanner (1993), definition II.2.9."""
    return math.prod((a @ stage_weights(subtree, a) for subtree in tree), start=np.ones(len(a)))


def residual(weights: tuple[float, ...], a: np.ndarray, order: int, theta: float) -> float:
    """The largest residual of the conditions of this order for y(t + theta dt); theta = 0 requires zero sums."""
    return max(abs(np.dot(weights, stage_weights(tree, a)) - theta**order / density(tree)) for tree in trees(order))
