"""Lines through the times of batches, with a knee or without: weighted least squares from running sums."""

from __future__ import annotations

from bisect import bisect_right
from math import ceil

Point = tuple[float, float, float]
"""Mean rows, mean seconds, weight."""
Sums = tuple[float, float, float, float, float, float]
"""Of the weights w, w x, w y, w x², w x y, w y²: x are rows, y seconds."""


def likeliest(sums: list[Sums], sizes: list[float]) -> int:
    """The place of the knee that explains most, between the second size and the last."""
    place = min(range(1, len(sizes) - 1), key=lambda at: bent(sums, at + 1, sizes[at])[3])
    above = ceil(sizes[place + 1])
    around = range(min(above - 1, ceil(max(2, sizes[place - 1] + 1, sizes[1]))), above)
    return min(around, key=lambda at: bent(sums, bisect_right(sizes, at), at)[3])


def running(points: list[Point], step: int) -> list[Sums]:
    """Sums over the first 1, 2, 3 … points, their rows rounded up to `step`."""
    w0 = wx = wy = wxx = wxy = wyy = 0.0
    sums: list[Sums] = []
    for n, y, w in points:
        x = -(-n // step) * step
        v = w * x
        u = w * y
        w0 += w
        wx += v
        wy += u
        wxx += v * x
        wxy += v * y
        wyy += u * y
        sums.append((w0, wx, wy, wxx, wxy, wyy))
    return sums


def bent(sums: list[Sums], below: int, knee: float) -> tuple[float, float, float, float]:
    """(fixed, row, steep, weighted squares left) of the best line with a knee there.

    Args:
        below: points up to the knee.
    """
    w0, wx, wy, wxx, wxy, wyy = sums[-1]
    v0, vx, vy, vxx, vxy, _ = (whole - part for whole, part in zip(sums[-1], sums[below - 1], strict=True))
    # Of h, the rows past the knee.
    h, hh, xh, yh = vx - knee * v0, vxx - knee * (2 * vx - knee * v0), vxx - knee * vx, vxy - knee * vy
    # What fixed and row leave of x, h and y, taken out one after the other.
    xx, xhc, xyc = wxx - wx * wx / w0, xh - wx * h / w0, wxy - wx * wy / w0
    hhc, hyc = hh - h * h / w0, yh - h * wy / w0
    pivot = xx * hhc - xhc * xhc
    if pivot > 1e-9 * xx * hhc:
        row, steep = (xyc * hhc - hyc * xhc) / pivot, (hyc * xx - xyc * xhc) / pivot
    else:
        row, steep = 0.0, hyc / hhc if hhc > 0 else 0.0
    if row < 0:
        row, steep = 0.0, hyc / hhc if hhc > 0 else 0.0
    fixed = (wy - row * wx - steep * h) / w0
    if fixed < 0:
        fixed, pivot = 0.0, wxx * hh - xh * xh
        if pivot > 0:
            row, steep = (wxy * hh - yh * xh) / pivot, (yh * wxx - wxy * xh) / pivot
    return fixed, row, steep, wyy - fixed * wy - row * wxy - steep * yh


def straight(sums: Sums) -> tuple[float, float, float]:
    """(fixed, row, weighted squares left) of the best line with row >= 0 and fixed >= 0."""
    w0, wx, wy, wxx, wxy, wyy = sums
    spread = w0 * wxx - wx * wx
    row = (w0 * wxy - wx * wy) / spread if spread > 1e-12 * w0 * wxx else 0.0
    row = max(0.0, row)
    fixed = (wy - row * wx) / w0
    if fixed < 0:
        fixed, row = 0.0, wxy / wxx
    rest = wyy - 2 * fixed * wy - 2 * row * wxy + fixed * fixed * w0 + 2 * fixed * row * wx + row * row * wxx
    return fixed, row, rest
