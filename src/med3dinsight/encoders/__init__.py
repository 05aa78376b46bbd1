"""3D encoders by name, one a file, all with the same protocol."""

from .registry import ENCODERS, create_encoder, list_encoders

__all__ = ["ENCODERS", "create_encoder", "list_encoders"]
