"""Encoders whose attention runs inside windows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .entry import EncoderEntry

if TYPE_CHECKING:
    from torch import nn

_NNFORMER = "ours, after Zhou et al. 2023"
_SWIN = "ours, equal to MONAI 1.6; Hatamizadeh et al. 2022"


def _swin_vit(image_size: int, in_channels: int) -> nn.Module:
    from ..swin import SwinEncoder

    return SwinEncoder(in_channels)


def _swin_vit_tiny(image_size: int, in_channels: int) -> nn.Module:
    from ..swin import SwinEncoder

    # Three stages, so that its tokens lie at 1/16 as in swin_vit and nothing lies behind them.
    return SwinEncoder(in_channels, 24, (2, 2, 2), (1, 2, 4), patch_size=2, window=4)


def _swin_unetr(image_size: int, in_channels: int) -> nn.Module:
    from ..swin import SwinEncoder

    # Tokens are the deepest map, so that pre-training reaches all of the encoder; token_map=3 would give 512 x 384,
    # and leave three quarters of the parameters, those of the last stage, as they were.
    return SwinEncoder(in_channels, 48, (2, 2, 2, 2), patch_size=2, token_map=4)


def _swin_unetr_tiny(image_size: int, in_channels: int) -> nn.Module:
    from ..swin import SwinEncoder

    return SwinEncoder(in_channels, 8, (2, 2, 2, 2), (1, 2, 4, 8), patch_size=2, window=4, token_map=4)


def _nnformer(image_size: int, in_channels: int) -> nn.Module:
    from ..nnformer import NNFormerEncoder

    return NNFormerEncoder(in_channels)


def _nnformer_tiny(image_size: int, in_channels: int) -> nn.Module:
    from ..nnformer import NNFormerEncoder

    return NNFormerEncoder(in_channels, 16, num_heads=(1, 2, 4, 8), windows=(4, 4, 4, 4), patch_size=2, drop_path=0.0)


def _swin_vit_before_1_5(image_size: int, in_channels: int) -> nn.Module:
    from ..swin import SwinEncoder

    return SwinEncoder(in_channels, merging="before_1_5")


def _swin_unetr_before_1_5(image_size: int, in_channels: int) -> nn.Module:
    from ..swin import SwinEncoder

    return SwinEncoder(in_channels, 48, (2, 2, 2, 2), patch_size=2, token_map=4, merging="before_1_5")


_OLD = "as MONAI computed it up to 1.4, for weights of that time"

WINDOWED: dict[str, EncoderEntry] = {
    "swin_vit": EncoderEntry(_swin_vit, 38_802_162, "64 x 768", "windowed transformer", _SWIN),
    "swin_vit_tiny": EncoderEntry(_swin_vit_tiny, 495_914, "512 x 192", "windowed transformer", "ours, small"),
    "swin_unetr": EncoderEntry(_swin_unetr, 8_062_002, "64 x 768", "windowed transformer", _SWIN),
    "swin_unetr_tiny": EncoderEntry(_swin_unetr_tiny, 233_002, "64 x 128", "windowed transformer", "ours, small"),
    "swin_vit_before_1_5": EncoderEntry(_swin_vit_before_1_5, 38_802_162, "64 x 768", "windowed transformer", _OLD),
    "swin_unetr_before_1_5": EncoderEntry(_swin_unetr_before_1_5, 8_062_002, "64 x 768", "windowed transformer", _OLD),
    "nnformer": EncoderEntry(_nnformer, 29_835_846, "64 x 768", "windowed transformer", _NNFORMER),
    "nnformer_tiny": EncoderEntry(
        _nnformer_tiny, 842_458, "512 x 128", "windowed transformer", "ours, a small nnFormer"
    ),
}
