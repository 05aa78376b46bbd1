"""Pre-training of 3D medical image encoders with the help of 2D multimodal LLMs."""

__version__ = "0.1.0"
