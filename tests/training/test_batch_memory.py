"""Memory of batches: used again, and never while somebody holds it."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import torch

from med3dinsight.training.batch_memory import BatchMemory

SHAPE = (4, 5)


def address(array):
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("hold", [lambda array: array, lambda array: array[1:], torch.from_numpy])
def test_what_is_held_in_any_way_is_not_given_again(hold):
    memory = BatchMemory()
    held = hold(memory.array(SHAPE))
    held[:] = 7
    memory.array(SHAPE)[:] = 1
    assert (held == 7).all()


def test_a_tensor_made_from_a_view_keeps_its_memory():
    memory = BatchMemory()
    batch = torch.from_numpy(memory.array(SHAPE))[:, None][2:]
    batch.fill_(3)
    memory.array(SHAPE)[:] = 1
    assert (batch == 3).all()


def test_what_nobody_holds_is_given_again():
    memory = BatchMemory()
    first = memory.array(SHAPE)
    place = address(first)
    del first
    assert address(memory.array(SHAPE)) == place


def test_other_shapes_are_not_kept():
    memory = BatchMemory()
    place = weakref.ref(memory.array(SHAPE))
    other = memory.array((2, 2))
    assert other.shape == (2, 2) and other.dtype == np.float32
    assert place() is None
