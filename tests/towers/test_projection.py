from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from med3dinsight.errors import WorkspaceError
from med3dinsight.losses import infonce
from med3dinsight.readouts.online import matching_accuracy
from med3dinsight.towers.projection import (
    SHRINKAGE,
    Projection,
    fit_tuned,
    fit_whitened,
    load_projections,
    save_projections,
)

Array = NDArray[np.float32]


def pairs(count: int, seed: int = 0, noise: float = 0.3) -> tuple[Array, Array]:
    """Image (20) and text (12) features that share six hidden causes, each side in a basis of its own."""
    mixing = np.random.default_rng(99)
    to_image, to_text = mixing.normal(size=(6, 20)), mixing.normal(size=(6, 12))
    rng = np.random.default_rng(seed)
    causes = rng.normal(size=(count, 6))
    image = causes @ to_image + noise * rng.normal(size=(count, 20)) + 5
    text = causes @ to_text + noise * rng.normal(size=(count, 12)) - 3
    return image.astype(np.float32), text.astype(np.float32)


def recall(projections: tuple[Projection, Projection], image: Array, text: Array) -> float:
    return matching_accuracy(projections[0](image), projections[1](text))


@pytest.mark.parametrize("rotate", [True, False])
def test_without_shrinkage_whitened_features_have_covariance_1(monkeypatch: pytest.MonkeyPatch, rotate: bool) -> None:
    monkeypatch.setattr("med3dinsight.towers.projection.SHRINKAGE", 0.0)
    image, text = pairs(500)
    for side, projection in zip((image, text), fit_whitened(image, text, 6, rotate=rotate), strict=True):
        white = (torch.from_numpy(side) - projection.mean) @ projection.matrix
        assert torch.allclose(white.mean(0), torch.zeros(6), atol=1e-3)
        assert torch.allclose(white.T @ white / len(white), torch.eye(6), atol=1e-3)


def test_before_the_rotation_whitening_is_scikit_learns() -> None:
    from sklearn.decomposition import PCA

    image, text = pairs(500)
    mine, _ = fit_whitened(image, text, 6, rotate=False)
    pca = PCA(6).fit(image)
    variance = pca.explained_variance_ * (len(image) - 1) / len(image)
    shrunk = np.sqrt(variance / (variance + SHRINKAGE * variance.mean()))
    expected = pca.transform(image) / np.sqrt(variance) * shrunk
    got = ((torch.from_numpy(image) - mine.mean) @ mine.matrix).numpy()
    signs = np.sign((got * expected).sum(0))
    assert np.allclose(got, expected * signs, atol=2e-2)


def test_directions_that_match_come_together_as_in_canonical_correlation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Canonical correlations are the cosines of the angles between the spaces that both sides' components span."""
    from scipy.linalg import subspace_angles
    from sklearn.decomposition import PCA

    monkeypatch.setattr("med3dinsight.towers.projection.SHRINKAGE", 0.0)
    image, text = pairs(500, noise=1.0)
    sides = fit_whitened(image, text, 6)
    x, y = ((torch.from_numpy(f) - p.mean) @ p.matrix for f, p in zip((image, text), sides, strict=True))
    expected = np.sort(np.cos(subspace_angles(PCA(6).fit_transform(image), PCA(6).fit_transform(text))))[::-1]
    assert torch.allclose(x.T @ y / len(x), torch.from_numpy(expected.copy()).float().diag(), atol=2e-3)


def test_the_rotation_lets_new_pairs_find_each_other() -> None:
    image, text = pairs(500)
    new_image, new_text = pairs(100, seed=1)
    rotated = recall(fit_whitened(image, text, 6), new_image, new_text)
    unrotated = recall(fit_whitened(image, text, 6, rotate=False), new_image, new_text)
    assert rotated > 0.8
    assert unrotated < 0.3


def test_tuning_betters_its_start_on_the_training_pairs() -> None:
    image, text = pairs(300, noise=2.0)
    start, tuned = fit_whitened(image, text, 6), fit_tuned(image, text, 6, steps=60, seed=0)
    losses = [float(infonce(side[0](image), side[1](text))) for side in (start, tuned)]
    assert losses[1] < losses[0] - 0.1
    assert recall(tuned, image, text) > recall(start, image, text)


def test_tuning_is_seeded() -> None:
    image, text = pairs(300)
    first, again, other = (fit_tuned(image, text, 4, steps=3, seed=seed, batch=50)[0].matrix for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(("count", "rank", "width"), [(500, 100, 12), (5, 6, 4)])
def test_the_width_is_held_to_what_the_features_can_carry(count: int, rank: int, width: int) -> None:
    image, text = pairs(count)
    first, second = fit_whitened(image, text, rank)
    assert first.matrix.shape == (20, width)
    assert second.matrix.shape == (12, width)
    assert torch.isfinite(first(image)).all()


def test_a_direction_without_any_variance_does_no_harm() -> None:
    image, text = pairs(200)
    image[:, 3] = 7
    text[:] = text[:1]
    for side, features in zip(fit_whitened(image, text, 6), (image, text), strict=True):
        assert torch.isfinite(side(features)).all()


def test_projected_features_have_length_1() -> None:
    image, text = pairs(50)
    projected = fit_whitened(image, text, 4)[0](image.astype(np.float16))
    assert projected.dtype == torch.float32
    assert torch.allclose(projected.norm(dim=-1), torch.ones(50), atol=1e-5)


def test_projections_come_back_from_their_file(tmp_path: Path) -> None:
    path = tmp_path / "projection.safetensors"
    with pytest.raises(WorkspaceError, match="no projections at") as caught:
        load_projections(path)
    assert "embed" in caught.value.hint
    image, text = pairs(50)
    saved = fit_whitened(image, text, 4)
    save_projections(path, *saved)
    for one, other in zip(saved, load_projections(path), strict=True):
        assert torch.equal(one.mean, other.mean)
        assert torch.equal(one.matrix, other.matrix)
