"""Kinds of files that hold weights, by the end of their names."""

from __future__ import annotations

SAFETENSORS = ".safetensors"
#: PyTorch checkpoints, which are pickles.
PICKLES = (".pt", ".pth", ".ckpt", ".bin", ".model")
SUFFIXES = (SAFETENSORS, *PICKLES)
