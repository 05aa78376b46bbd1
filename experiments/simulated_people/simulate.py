"""SIMULATED people: a real scan under a random diffeomorphism, with other contrast and noise; nobody stands behind one.

A stationary velocity field, smooth and random, is integrated by scaling and squaring (Arsigny et al., MICCAI 2006):
the displacement ``u`` of ``exp(v)`` is ``v / 2^n`` composed with itself n times. The map is accepted where its Jacobian
determinant, by central differences, is positive everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

#: Doublings of the integration.
DOUBLINGS = 6
AIR_HU = -1000.0


@dataclass(frozen=True)
class Simulation:
    """How far a simulated person is from its source.

    Attributes:
        displacement_mm: Root mean square length of the velocity field, about that of the displacement.
        smoothness_mm: Standard deviation of the Gaussian that smooths the field.
        stretch: Largest relative change of size along an axis, drawn evenly on either side of 0.
        contrast: Largest relative change of soft tissue's contrast; the same curve bends the rest monotonically.
        noise_hu: Largest standard deviation of the added noise.
        smallest_jacobian: Fields whose determinant falls below are drawn again.
    """

    displacement_mm: float = 9.0
    smoothness_mm: float = 30.0
    stretch: float = 0.08
    contrast: float = 0.3
    noise_hu: float = 25.0
    smallest_jacobian: float = 0.2


def velocity_field(
    rng: np.random.Generator, shape: tuple[int, int, int], spacing_mm: float, simulation: Simulation
) -> NDArray[np.float64]:
    """A smooth random velocity in voxels, ``(3, x, y, z)``, with a stretch about the middle."""
    smooth = simulation.smoothness_mm / spacing_mm
    margin = int(2 * smooth)  # drawn wider than needed, so that the borders move like the rest
    wide = tuple(length + 2 * margin for length in shape)
    inner = (slice(None), *(slice(margin, margin + length) for length in shape))
    field = np.stack([gaussian_filter(rng.normal(size=wide), smooth, mode="wrap") for _ in range(3)])[inner]
    length = np.sqrt((field**2).sum(0).mean())
    field *= simulation.displacement_mm / spacing_mm / length
    stretch = rng.uniform(-simulation.stretch, simulation.stretch, 3)
    for axis, edge in enumerate(shape):
        places = (np.arange(edge) - (edge - 1) / 2) * stretch[axis]
        field[axis] += places.reshape([-1 if other == axis else 1 for other in range(3)])
    return field


def exponential(velocity: NDArray[np.float64]) -> NDArray[np.float64]:
    """Integrates a stationary velocity for unit time; returns the displacement in voxels, ``(3, x, y, z)``."""
    grid = np.stack(np.meshgrid(*map(np.arange, velocity.shape[1:]), indexing="ij")).astype(np.float64)
    displacement = velocity / 2**DOUBLINGS
    for _ in range(DOUBLINGS):
        moved = grid + displacement
        displacement = displacement + np.stack(
            [map_coordinates(part, moved, order=1, mode="nearest") for part in displacement]
        )
    return displacement


def jacobian_determinant(displacement: NDArray[np.float64]) -> NDArray[np.float64]:
    """Determinant of the Jacobian of ``x + u(x)`` at every voxel; 1 where nothing moves."""
    rows = [np.stack(np.gradient(part)) for part in displacement]
    jacobian = np.stack(rows) + np.eye(3)[:, :, None, None, None]
    determinant: NDArray[np.float64] = np.linalg.det(np.moveaxis(jacobian, (0, 1), (-2, -1)))
    return determinant


def simulate(
    rng: np.random.Generator,
    hu: NDArray[np.float32],
    label: NDArray[np.uint16],
    spacing_mm: float,
    simulation: Simulation | None = None,
) -> tuple[NDArray[np.int16], NDArray[np.uint16], float]:
    """Draws one simulated person.

    Args:
        rng: Source of randomness.
        hu: ``(x, y, z)`` HU of the source.
        label: Its label map.
        spacing_mm: Voxel size, the same along all axes.
        simulation: How far from the source.

    Returns:
        HU, label map and the smallest Jacobian determinant, which is positive.

    Raises:
        ValueError: Ten fields in a row fold the volume: they are too rough for their size.
    """
    simulation = simulation or Simulation()
    shape = (hu.shape[0], hu.shape[1], hu.shape[2])
    for _ in range(10):
        displacement = exponential(velocity_field(rng, shape, spacing_mm, simulation))
        if (smallest := float(jacobian_determinant(displacement).min())) >= simulation.smallest_jacobian:
            break
    else:
        raise ValueError("ten random fields in a row fold the volume; make them smoother or smaller")
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij")) + displacement
    moved = map_coordinates(hu, places, order=1, mode="constant", cval=AIR_HU)
    moved_label = map_coordinates(label, places, order=0, mode="constant", cval=0)
    return _acquire(rng, moved, simulation), moved_label.astype(np.uint16), smallest


def _acquire(rng: np.random.Generator, hu: NDArray[np.float32], simulation: Simulation) -> NDArray[np.int16]:
    """Another contrast, by a monotone curve that leaves air and water in place, and noise."""
    nodes = np.array([-1000.0, -500.0, -100.0, 0.0, 100.0, 400.0, 1000.0])
    rises = np.diff(nodes) * (1 + rng.uniform(-simulation.contrast, simulation.contrast, len(nodes) - 1))
    curve = np.concatenate([[0.0], np.cumsum(rises)])
    curve -= np.interp(0.0, nodes, curve)
    curve[curve < 0] *= AIR_HU / curve[0]
    noise = rng.normal(0, rng.uniform(0.2, 1.0) * simulation.noise_hu, hu.shape)
    changed = np.interp(hu, nodes, curve) + noise
    return np.clip(changed, -1024, 3071).round().astype(np.int16)
