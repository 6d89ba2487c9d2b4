"""Images of machined metal with defects, painted from random numbers.

Brightness is float64, about 0 (black) to 1 (white), until it is rounded to 8 bits once, so that machines
agree on the pixels.
"""

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import KDTree

_SCRATCH, _SPOT, _PIT = range(1, 4)

_Random = np.random.Generator


def paint(rng: _Random, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Paint an image and its label.

    Returns:
        image: uint8 [size, size].
        label: class ids, uint8 [size, size].
    """
    angle = rng.uniform(0, np.pi)
    image = _texture(rng, size, angle)
    label = np.zeros((size, size), np.uint8)
    for k in rng.choice(len(_DISTRACTORS), rng.choice(4, p=(0.3, 0.35, 0.25, 0.1))):
        image = _DISTRACTORS[k](rng, image, angle)
    for kind in _defect_kinds(rng):
        image, label = _DEFECTS[kind](rng, image, label)
    return _photograph(rng, image), label


def _defect_kinds(rng: _Random) -> list[int]:
    """Draw the defects of a surface, large ones first: none on 2 of 5, seldom several."""
    number = rng.choice(4, p=(0.4, 0.4, 0.15, 0.05))
    return sorted(
        rng.choice((_SCRATCH, _SPOT, _PIT), number, replace=False), key=(_SPOT, _SCRATCH, _PIT).index
    )


# The surface without defects.


def _streaks(rng: _Random, size: int, angle: float, length: float, width: float) -> np.ndarray:
    """Return noise of unit variance, smoothed over `length` pixels along an angle and `width` across."""
    padded = size + size // 2  # the transform is periodic: a third of each side is cropped
    noise = np.fft.rfft2(rng.standard_normal((padded, padded)))
    fy, fx = np.fft.fftfreq(padded)[:, None], np.fft.rfftfreq(padded)[None, :]
    along, across = fx * np.cos(angle) + fy * np.sin(angle), fy * np.cos(angle) - fx * np.sin(angle)
    kept = np.exp(-2 * np.pi**2 * ((length * along) ** 2 + (width * across) ** 2))
    field = np.fft.irfft2(noise * kept, s=(padded, padded))[:size, :size]
    return field / (field.std() + 1e-9)


def _texture(rng: _Random, size: int, angle: float) -> np.ndarray:
    """Paint brushed, rolled or cast metal under uneven light, [size, size]."""
    length, width = rng.uniform(1, 25), rng.uniform(0.4, 1)
    fine = _streaks(rng, size, angle, length, width)
    bands = _streaks(rng, size, angle, 3 * length, 3 * width + rng.uniform(0, 4))
    cloud = _streaks(rng, size, angle, rng.uniform(6, 20), rng.uniform(6, 20))
    grain = gaussian_filter(rng.standard_normal((size, size)), rng.uniform(0.3, 0.8))
    relief = (
        rng.uniform(0.015, 0.05) * fine
        + rng.uniform(0.005, 0.025) * bands
        + rng.uniform(0.005, 0.03) * cloud
        + rng.uniform(0.01, 0.03) * grain / grain.std()
    )
    if rng.random() < 0.35:
        relief += _machining_marks(rng, size, angle)
    return (rng.uniform(0.3, 0.65) + relief) * _illumination(rng, size)


def _machining_marks(rng: _Random, size: int, angle: float) -> np.ndarray:
    """Paint feed marks of a tool: shallow grooves of uneven depth, straight or on wide circles."""
    y, x = _grid(size)
    radius = size * rng.uniform(2, 12)
    center_y, center_x = radius * np.cos(angle), -radius * np.sin(angle)
    across = np.hypot(y - center_y, x - center_x)
    period = rng.uniform(5, 14)
    phase = 2 * np.pi * across / period + 0.5 * _streaks(rng, size, angle, 40, 8)
    depth = 1 + 0.5 * _streaks(rng, size, angle, 30, 10)
    return rng.uniform(0.006, 0.02) * depth * np.sin(phase)


def _illumination(rng: _Random, size: int) -> np.ndarray:
    """Paint light that falls off toward one side and the corners; about 1."""
    y, x = (axis / size - 0.5 for axis in _grid(size))
    angle = rng.uniform(0, 2 * np.pi)
    slope = rng.uniform(0, 0.35) * (x * np.cos(angle) + y * np.sin(angle))
    return 1 + slope - rng.uniform(0, 0.35) * (x**2 + y**2)


def _photograph(rng: _Random, image: np.ndarray) -> np.ndarray:
    """Return the photograph of a camera: slight blur, noise that grows with brightness, 8 bits."""
    blurred = gaussian_filter(image, rng.uniform(0.3, 0.6))
    noise = rng.standard_normal(image.shape) * (0.006 + 0.012 * np.sqrt(np.clip(blurred, 0, 1)))
    return np.round(255 * np.clip(blurred + noise, 0, 1)).astype(np.uint8)


# Distractors: marks that are not defects.


def _stain(rng: _Random, image: np.ndarray, angle: float) -> np.ndarray:
    """Paint a dried drop: a wide, faint patch with a soft edge, bright or dark."""
    size = len(image)
    inside = _blob(rng, size, radius=rng.uniform(0.12, 0.4) * size, roughness=0.35)
    return image * (1 + rng.uniform(-0.1, 0.16) * _soft_step(inside, rng.uniform(4, 12)))


def _water_ring(rng: _Random, image: np.ndarray, angle: float) -> np.ndarray:
    """Paint the dark outline of a dried drop."""
    size = len(image)
    inside = _blob(rng, size, radius=rng.uniform(0.08, 0.3) * size, roughness=0.3)
    ring = np.exp(-0.5 * (inside / rng.uniform(0.8, 1.6)) ** 2)
    return image * (1 - rng.uniform(0.06, 0.16) * ring + rng.uniform(0, 0.04) * (inside > 0))


def _deep_streak(rng: _Random, image: np.ndarray, angle: float) -> np.ndarray:
    """Paint a straight tool mark, along the texture and across the whole image."""
    y, x = _grid(len(image))
    point_y, point_x = rng.uniform(0, len(image), 2)
    across = (y - point_y) * np.cos(angle) - (x - point_x) * np.sin(angle)
    return image + rng.uniform(-0.12, 0.12) * np.exp(-0.5 * (across / rng.uniform(0.5, 1.5)) ** 2)


def _dust(rng: _Random, image: np.ndarray, angle: float) -> np.ndarray:
    """Paint bright specks, about a pixel wide."""
    specks = rng.random(image.shape) < rng.uniform(0.0003, 0.002)
    return image + rng.uniform(0.2, 0.6) * gaussian_filter(specks.astype(float), rng.uniform(0.4, 0.7))


_DISTRACTORS = (_stain, _water_ring, _deep_streak, _dust)


# Defects: each darkens or brightens the image and labels the changed pixels.

_REACH = 15
"""Distance from a scratch up to which pixels change: ten times the largest half width."""


def _scratch(rng: _Random, image: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Paint one or two thin, slightly bent lines of varying strength, with a burr beside them."""
    size = len(image)
    for _ in range(rng.choice((1, 2), p=(0.7, 0.3))):
        points, normals = _curve(rng, size)
        pixels = np.stack(_grid(size), -1)
        # The bound takes two thirds off the time of the search; the scratch is 0 in float64 beyond.
        distance, nearest = map(np.asarray, KDTree(points).query(pixels, distance_upper_bound=_REACH))
        nearest = np.minimum(nearest, len(points) - 1)
        offset = ((pixels - points[nearest]) * normals[nearest]).sum(-1)
        strength = _fading(rng, len(points))[nearest]
        half_width = rng.uniform(0.75, 1.5)
        groove = np.exp(-0.5 * (distance / half_width) ** 2)
        burr = np.exp(-0.5 * ((offset - 1.8 * half_width) / half_width) ** 2) * (distance < 5)
        depth = rng.uniform(0.25, 0.5) * rng.choice((-1, 1), p=(0.45, 0.55))
        image = image + depth * strength * (groove - rng.uniform(0.2, 0.5) * burr)
        label = np.where(distance <= half_width, _SCRATCH, label).astype(np.uint8)
    return image, label


def _spot(rng: _Random, image: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Paint one or two dull patches of low contrast with a soft edge, which cover the texture."""
    size = len(image)
    for _ in range(rng.choice((1, 2), p=(0.7, 0.3))):
        inside = _blob(rng, size, radius=rng.uniform(5, 13), roughness=0.25)
        cover = _soft_step(inside, rng.uniform(0.8, 2))
        dull = gaussian_filter(image, 2) * (1 - rng.uniform(0.2, 0.4))
        image = image + cover * rng.uniform(0.6, 0.9) * (dull - image)
        label = np.where(inside > 0, _SPOT, label).astype(np.uint8)
    return image, label


def _pit(rng: _Random, image: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Paint a few small dark holes, each with a bright rim on the side that faces the light."""
    size = len(image)
    light = rng.uniform(0, 2 * np.pi)
    for _ in range(rng.integers(3, 13)):
        radius = rng.uniform(1.6, 3)
        inside, (dy, dx) = _ellipse(rng, size, radius)
        hole = _soft_step(inside, 0.5)
        rim = np.exp(-0.5 * ((inside + 1) / 0.7) ** 2)
        facing = np.clip((dy * np.sin(light) + dx * np.cos(light)) / radius, 0, 1)
        image = image * (1 - rng.uniform(0.4, 0.75) * hole) + rng.uniform(0.1, 0.25) * rim * facing
        label = np.where(inside > 0, _PIT, label).astype(np.uint8)
    return image, label


_DEFECTS = {_SCRATCH: _scratch, _SPOT: _spot, _PIT: _pit}


# Shapes.


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return row and column of each pixel, float64 [size, size] each."""
    y, x = np.mgrid[:size, :size].astype(float)
    return y, x


def _soft_step(inside: np.ndarray, width: float) -> np.ndarray:
    """Return a step from 0 to 1 over about `width` pixels where a signed distance crosses 0."""
    return 1 / (1 + np.exp(-np.clip(2 * inside / width, -50, 50)))


def _blob(rng: _Random, size: int, radius: float, roughness: float) -> np.ndarray:
    """Return the approximate signed distance, positive inside, to a random disc of uneven outline."""
    y, x = _grid(size)
    dy, dx = y - rng.uniform(0, size), x - rng.uniform(0, size)
    theta = np.arctan2(dy, dx)
    outline = sum(
        rng.standard_normal() * roughness / k * np.cos(k * theta + rng.uniform(0, 2 * np.pi))
        for k in range(2, 7)
    )
    return radius * (1 + outline) - np.hypot(dy, dx)


def _ellipse(rng: _Random, size: int, radius: float) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Return the signed distance to a slightly stretched disc, and the offsets (dy, dx) from its center."""
    y, x = _grid(size)
    dy, dx = y - rng.uniform(3, size - 3), x - rng.uniform(3, size - 3)
    angle, stretch = rng.uniform(0, np.pi), rng.uniform(0.75, 1.3)
    u, v = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
    return radius - np.hypot(u * stretch, v / stretch), (dy, dx)


def _curve(rng: _Random, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a curve of drifting direction in steps of 1/4 pixel: points and unit normals (y, x), [n, 2]."""
    n = int(4 * rng.uniform(0.2, 0.75) * size)
    bend = rng.normal(0, 0.006) + gaussian_filter(rng.normal(0, 0.1, n), 25)
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(bend / 4)
    steps = 0.25 * np.stack([np.sin(heading), np.cos(heading)], -1)
    points = np.cumsum(steps, 0)
    start = rng.uniform(0.1, 0.9, 2) * size - points[n // 2]
    return points + start, np.stack([np.cos(heading), -np.sin(heading)], -1)


def _fading(rng: _Random, n: int) -> np.ndarray:
    """Return the strength along a curve of n points, 0.5 to 1 with weak ends."""
    t = np.linspace(0, 1, n)
    ends = np.clip(np.minimum(t, 1 - t) / rng.uniform(0.05, 0.3), 0, 1)
    waves = map_coordinates(rng.uniform(0.3, 1, 8), [7 * t], order=1)
    return 0.5 + 0.5 * ends * waves
