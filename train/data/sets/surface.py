"""Pictures of machined metal with defects, painted from random numbers.

Brightness is float64, about 0 (black) to 1 (white), until the sensor turns it into 8 bits. Everything is
computed in float64 and rounded once, so that machines agree on the pixels.
"""

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import KDTree

BACKGROUND, SCRATCH, SPOT, PIT = range(4)

Random = np.random.Generator


def paint(rng: Random, size: int) -> tuple[np.ndarray, np.ndarray]:
    """One photograph and its labels.

    Returns:
        image: uint8 [size, size].
        label: class ids, uint8 [size, size].
    """
    angle = rng.uniform(0, np.pi)
    image = texture(rng, size, angle)
    label = np.zeros((size, size), np.uint8)
    for distract in rng.choice(len(DISTRACTORS), rng.choice(4, p=(0.3, 0.35, 0.25, 0.1))):
        image = DISTRACTORS[distract](rng, image, angle)
    for kind in defect_kinds(rng):
        image, label = DEFECTS[kind](rng, image, label)
    return photograph(rng, image), label


def defect_kinds(rng: Random) -> list[int]:
    """Which defects a surface has, large ones first: none on 2 of 5, seldom several."""
    number = rng.choice(4, p=(0.4, 0.4, 0.15, 0.05))
    return sorted(rng.choice((SCRATCH, SPOT, PIT), number, replace=False), key=(SPOT, SCRATCH, PIT).index)


# The sound surface.


def streaks(rng: Random, size: int, angle: float, length: float, width: float) -> np.ndarray:
    """Noise of unit variance, smoothed over `length` pixels along an angle and `width` across it."""
    padded = size + size // 2  # the transform is periodic; a third of each side is cut away
    noise = np.fft.rfft2(rng.standard_normal((padded, padded)))
    fy, fx = np.fft.fftfreq(padded)[:, None], np.fft.rfftfreq(padded)[None, :]
    along, across = fx * np.cos(angle) + fy * np.sin(angle), fy * np.cos(angle) - fx * np.sin(angle)
    kept = np.exp(-2 * np.pi**2 * ((length * along) ** 2 + (width * across) ** 2))
    field = np.fft.irfft2(noise * kept, s=(padded, padded))[:size, :size]
    return field / (field.std() + 1e-9)


def texture(rng: Random, size: int, angle: float) -> np.ndarray:
    """Brushed, rolled or cast metal under uneven light, [size, size]."""
    length, width = rng.uniform(1, 25), rng.uniform(0.4, 1)
    fine = streaks(rng, size, angle, length, width)
    bands = streaks(rng, size, angle, 3 * length, 3 * width + rng.uniform(0, 4))
    cloud = streaks(rng, size, angle, rng.uniform(6, 20), rng.uniform(6, 20))
    grain = gaussian_filter(rng.standard_normal((size, size)), rng.uniform(0.3, 0.8))
    relief = (
        rng.uniform(0.015, 0.05) * fine
        + rng.uniform(0.005, 0.025) * bands
        + rng.uniform(0.005, 0.03) * cloud
        + rng.uniform(0.01, 0.03) * grain / grain.std()
    )
    if rng.random() < 0.35:
        relief += machining_marks(rng, size, angle)
    return (rng.uniform(0.3, 0.65) + relief) * illumination(rng, size)


def machining_marks(rng: Random, size: int, angle: float) -> np.ndarray:
    """Feed marks of a tool: shallow grooves, straight or on wide circles, of uneven depth."""
    y, x = grid(size)
    radius = size * rng.uniform(2, 12)
    centre_y, centre_x = radius * np.cos(angle), -radius * np.sin(angle)
    across = np.hypot(y - centre_y, x - centre_x)
    period = rng.uniform(5, 14)
    phase = 2 * np.pi * across / period + 0.5 * streaks(rng, size, angle, 40, 8)
    depth = 1 + 0.5 * streaks(rng, size, angle, 30, 10)
    return rng.uniform(0.006, 0.02) * depth * np.sin(phase)


def illumination(rng: Random, size: int) -> np.ndarray:
    """Light that falls off towards one side and the corners; about 1."""
    y, x = (axis / size - 0.5 for axis in grid(size))
    angle = rng.uniform(0, 2 * np.pi)
    slope = rng.uniform(0, 0.35) * (x * np.cos(angle) + y * np.sin(angle))
    return 1 + slope - rng.uniform(0, 0.35) * (x**2 + y**2)


def photograph(rng: Random, image: np.ndarray) -> np.ndarray:
    """What the camera makes of it: slight blur, noise that grows with the light, 8 bits."""
    blurred = gaussian_filter(image, rng.uniform(0.3, 0.6))
    noise = rng.standard_normal(image.shape) * (0.006 + 0.012 * np.sqrt(np.clip(blurred, 0, 1)))
    return np.round(255 * np.clip(blurred + noise, 0, 1)).astype(np.uint8)


# What is not a defect.


def stain(rng: Random, image: np.ndarray, angle: float) -> np.ndarray:
    """A dried drop: a wide, shallow, bright or dark patch of soft edge."""
    size = len(image)
    inside = blob(rng, size, radius=rng.uniform(0.12, 0.4) * size, roughness=0.35)
    return image * (1 + rng.uniform(-0.1, 0.16) * soft_step(inside, rng.uniform(4, 12)))


def water_ring(rng: Random, image: np.ndarray, angle: float) -> np.ndarray:
    """The dark outline that a drop leaves where it dried."""
    size = len(image)
    inside = blob(rng, size, radius=rng.uniform(0.08, 0.3) * size, roughness=0.3)
    ring = np.exp(-0.5 * (inside / rng.uniform(0.8, 1.6)) ** 2)
    return image * (1 - rng.uniform(0.06, 0.16) * ring + rng.uniform(0, 0.04) * (inside > 0))


def deep_streak(rng: Random, image: np.ndarray, angle: float) -> np.ndarray:
    """A straight mark of the tool, along the texture and across the whole picture."""
    y, x = grid(len(image))
    at_y, at_x = rng.uniform(0, len(image), 2)
    across = (y - at_y) * np.cos(angle) - (x - at_x) * np.sin(angle)
    return image + rng.uniform(-0.12, 0.12) * np.exp(-0.5 * (across / rng.uniform(0.5, 1.5)) ** 2)


def dust(rng: Random, image: np.ndarray, angle: float) -> np.ndarray:
    """Bright specks, about a pixel wide."""
    specks = rng.random(image.shape) < rng.uniform(0.0003, 0.002)
    return image + rng.uniform(0.2, 0.6) * gaussian_filter(specks.astype(float), rng.uniform(0.4, 0.7))


DISTRACTORS = (stain, water_ring, deep_streak, dust)


# Defects: each darkens or brightens the image and labels what it touched.

REACH = 15
"""Pixels from a scratch's line within which it is searched for: ten times its largest half width."""


def scratch(rng: Random, image: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One or two thin, slightly bent lines that fade along their way, with a burr beside them."""
    size = len(image)
    for _ in range(rng.choice((1, 2), p=(0.7, 0.3))):
        points, normals = curve(rng, size)
        pixels = np.stack(grid(size), -1)
        # Farther off nothing of it is left that float64 could tell, and the search takes a third of the time.
        distance, nearest = map(np.asarray, KDTree(points).query(pixels, distance_upper_bound=REACH))
        nearest = np.minimum(nearest, len(points) - 1)
        offset = ((pixels - points[nearest]) * normals[nearest]).sum(-1)
        strength = fading(rng, len(points))[nearest]
        half_width = rng.uniform(0.75, 1.5)
        groove = np.exp(-0.5 * (distance / half_width) ** 2)
        burr = np.exp(-0.5 * ((offset - 1.8 * half_width) / half_width) ** 2) * (distance < 5)
        depth = rng.uniform(0.25, 0.5) * rng.choice((-1, 1), p=(0.45, 0.55))
        image = image + depth * strength * (groove - rng.uniform(0.2, 0.5) * burr)
        label = np.where(distance <= half_width, SCRATCH, label).astype(np.uint8)
    return image, label


def spot(rng: Random, image: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One or two dull patches of low contrast and soft edge, where the texture is covered."""
    size = len(image)
    for _ in range(rng.choice((1, 2), p=(0.7, 0.3))):
        inside = blob(rng, size, radius=rng.uniform(5, 13), roughness=0.25)
        cover = soft_step(inside, rng.uniform(0.8, 2))
        dull = gaussian_filter(image, 2) * (1 - rng.uniform(0.2, 0.4))
        image = image + cover * rng.uniform(0.6, 0.9) * (dull - image)
        label = np.where(inside > 0, SPOT, label).astype(np.uint8)
    return image, label


def pit(rng: Random, image: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A few small dark holes with a bright rim on the side that faces the light."""
    size = len(image)
    light = rng.uniform(0, 2 * np.pi)
    for _ in range(rng.integers(3, 13)):
        radius = rng.uniform(1.6, 3)
        inside, (dy, dx) = ellipse(rng, size, radius)
        hole = soft_step(inside, 0.5)
        rim = np.exp(-0.5 * ((inside + 1) / 0.7) ** 2)
        facing = np.clip((dy * np.sin(light) + dx * np.cos(light)) / radius, 0, 1)
        image = image * (1 - rng.uniform(0.4, 0.75) * hole) + rng.uniform(0.1, 0.25) * rim * facing
        label = np.where(inside > 0, PIT, label).astype(np.uint8)
    return image, label


DEFECTS = {SCRATCH: scratch, SPOT: spot, PIT: pit}


# Shapes.


def grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of each pixel, float64 [size, size] each."""
    y, x = np.mgrid[:size, :size].astype(float)
    return y, x


def soft_step(inside: np.ndarray, width: float) -> np.ndarray:
    """From 0 to 1 where a signed distance crosses 0, over about `width` pixels."""
    return 1 / (1 + np.exp(-np.clip(2 * inside / width, -50, 50)))


def blob(rng: Random, size: int, radius: float, roughness: float) -> np.ndarray:
    """Signed distance (positive inside, approximate) to a disc of uneven outline, somewhere."""
    y, x = grid(size)
    dy, dx = y - rng.uniform(0, size), x - rng.uniform(0, size)
    theta = np.arctan2(dy, dx)
    outline = sum(
        rng.standard_normal() * roughness / k * np.cos(k * theta + rng.uniform(0, 2 * np.pi))
        for k in range(2, 7)
    )
    return radius * (1 + outline) - np.hypot(dy, dx)


def ellipse(rng: Random, size: int, radius: float) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Signed distance to a slightly stretched disc, and the offsets (dy, dx) from its centre."""
    y, x = grid(size)
    dy, dx = y - rng.uniform(3, size - 3), x - rng.uniform(3, size - 3)
    turn, stretch = rng.uniform(0, np.pi), rng.uniform(0.75, 1.3)
    u, v = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
    return radius - np.hypot(u * stretch, v / stretch), (dy, dx)


def curve(rng: Random, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A line whose direction drifts, every quarter pixel: points and unit normals, [n, 2] as (y, x)."""
    n = int(4 * rng.uniform(0.2, 0.75) * size)
    bend = rng.normal(0, 0.006) + gaussian_filter(rng.normal(0, 0.1, n), 25)
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(bend / 4)
    steps = 0.25 * np.stack([np.sin(heading), np.cos(heading)], -1)
    points = np.cumsum(steps, 0)
    start = rng.uniform(0.1, 0.9, 2) * size - points[n // 2]
    return points + start, np.stack([np.cos(heading), -np.sin(heading)], -1)


def fading(rng: Random, n: int) -> np.ndarray:
    """Strength along a line of n points, 0.5 to 1 with weak ends."""
    t = np.linspace(0, 1, n)
    ends = np.clip(np.minimum(t, 1 - t) / rng.uniform(0.05, 0.3), 0, 1)
    waves = map_coordinates(rng.uniform(0.3, 1, 8), [7 * t], order=1)
    return 0.5 + 0.5 * ends * waves
