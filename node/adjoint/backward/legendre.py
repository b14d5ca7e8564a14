"""The Legendre polynomials."""

from collections.abc import Sequence

from node.vector_field import Time


def legendre(s: Time, degree: int) -> Sequence[Time]:
    """P_0, ..., P_degree on [-1, 1] at s, by Bonnet's recursion."""
    values: list[Time] = [1.0, s]
    for j in range(1, degree):
        values.append(((2 * j + 1) * s * values[j] - j * values[j - 1]) / (j + 1))
    return values[: degree + 1]
