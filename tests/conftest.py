"""Fixtures and settings that all tests share."""

from __future__ import annotations

import os
import shutil

# Before anything imports numpy, torch or matplotlib: one thread a process, no window, no hub.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import hypothesis
import pytest

# The same examples in every run, and no deadline: the machine may be busy.
hypothesis.settings.register_profile("house", derandomize=True, deadline=None, max_examples=50)
hypothesis.settings.load_profile("house")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium; the test is skipped, and says so, where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("no chromium on this machine; install it to run the browser tests")
