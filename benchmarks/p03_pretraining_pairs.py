"""P3: pre-training pairs a second, ours at K slices a volume, against the method as the paper says it.

The peer does what arXiv 2403.05141 describes: one slice of each volume a step, the frozen CLIP towers (a ViT-B/16 for
pictures and a text transformer of CLIP's size; random weights cost what trained ones cost) run inside the step, and the
whole segmentation network runs with gradients on (its decoder's scores enter no loss, so that only its forward pass is
paid). Ours encodes each volume once, asks K slices, reads their features from memory and runs the encoder alone. Both
sides have the same UNETR, batch, PSAT, loss, optimiser and fp32, and take turns on one thread in CPU seconds. At K = 1
loss and gradient of ours must be those of the paper's step written out plainly (papers_step.py). Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import replace

import torch
from papers_step import papers_loss
from torch import Tensor, nn

from med3dinsight.alignment.presets import PSAT_PRESETS
from med3dinsight.alignment.query_transformer import PlaneSliceAwareTransformer
from med3dinsight.encoders.encoder import EncoderOutput, token_positions
from med3dinsight.losses.infonce import infonce
from med3dinsight.networks.registry import create_network

WIDTH, TARGET, EQUAL = 512, 20, 1e-5


def make_towers() -> nn.Module:
    """CLIP ViT-B/16 as transformers builds it from sizes, frozen."""
    from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPVisionConfig

    vision = CLIPVisionConfig(
        hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, patch_size=16
    )
    config = CLIPConfig(text_config=CLIPTextConfig().to_dict(), vision_config=vision.to_dict(), projection_dim=WIDTH)
    return CLIPModel(config).eval().requires_grad_(False)


@torch.no_grad()
def tower_features(towers: nn.Module, pictures: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
    """Features of pictures ``(m, 3, 224, 224)`` and texts ``(m, 77)``."""
    image = towers.get_image_features(pixel_values=pictures)
    text = towers.get_text_features(input_ids=words)
    return image.pooler_output, text.pooler_output


class Side:
    """A network, a PSAT and an optimiser; ``paper`` says whose way the steps go."""

    def __init__(self, size: int, paper: bool) -> None:
        torch.manual_seed(0)
        self.network = create_network("unetr", 6, image_size=size)
        # Dropout is off so that both sides can be compared to the last digit.
        self.psat = PlaneSliceAwareTransformer(768, WIDTH, WIDTH, replace(PSAT_PRESETS["paper"], dropout=0.0))
        self.paper = paper
        trained = self.network if paper else self.network.encoder
        self.optimizer = torch.optim.AdamW([*trained.parameters(), *self.psat.parameters()], lr=1e-4, fused=True)
        self.encoded: Tensor | None = None
        self.network.encoder.register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, inputs: object, outputs: EncoderOutput) -> None:
        self.encoded = outputs.tokens

    def loss(self, volumes: Tensor, planes: Tensor, positions: Tensor, features: tuple[Tensor, Tensor]) -> Tensor:
        """The loss of a batch."""
        scores = self.network(volumes) if self.paper else self.network.encoder(volumes).tokens
        assert scores.requires_grad and self.encoded is not None
        edge = volumes.shape[-1] // 16
        image, text = self.psat(self.encoded, token_positions((edge, edge, edge)), planes, positions)
        return infonce(image.flatten(0, 1), features[0]) + infonce(text.flatten(0, 1), features[1])

    def step(self, volumes: Tensor, planes: Tensor, positions: Tensor, features: tuple[Tensor, Tensor]) -> float:
        """One optimiser step; returns the loss."""
        loss = self.loss(volumes, planes, positions, features)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


def against_plain(
    ours: Side, volumes: Tensor, planes: Tensor, positions: Tensor, features: tuple[Tensor, Tensor]
) -> dict[str, float]:
    """How far loss and gradient at K = 1 are from the paper's step written out plainly, as shares."""
    found = []
    for plainly in (False, True):
        if plainly:
            psat = dict(ours.psat.named_parameters())
            tokens = torch.cat([ours.network.encoder(volume[None]).tokens for volume in volumes])
            slices = (positions[:, 0] * psat["position.table"].shape[1]).long()
            loss = papers_loss(tokens, psat, ours.psat.settings.num_heads, planes[:, 0], slices, *features)
        else:
            loss = ours.loss(volumes, planes, positions, features)
        ours.optimizer.zero_grad()
        loss.backward()
        learned = (value for group in ours.optimizer.param_groups for value in group["params"])
        found.append((loss.item(), torch.cat([value.grad.flatten() for value in learned if value.grad is not None])))
    (loss_ours, gradient_ours), (loss_plain, gradient_plain) = found
    return {
        "loss": abs(loss_ours - loss_plain) / loss_plain,
        "gradient": float((gradient_ours - gradient_plain).norm() / gradient_plain.norm()),
    }


def main() -> None:
    """Times both sides in turn after one warm-up each."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--size", type=int, default=96, help="edge of the volumes in voxels")
    arguments.add_argument("--batch", type=int, default=2, help="volumes a step")
    arguments.add_argument("--slices", type=int, default=8, help="K of ours")
    arguments.add_argument("--runs", type=int, default=3, help="timed steps a side")
    chosen = arguments.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(1)
    count, b, k = chosen.batch * chosen.slices, chosen.batch, chosen.slices
    volumes = torch.rand(b, 1, *(chosen.size,) * 3, generator=generator)
    planes = torch.randint(0, 3, (b, k), generator=generator)
    positions = torch.rand(b, k, generator=generator)
    pictures = torch.rand(count, 3, 224, 224, generator=generator)
    words = torch.randint(0, 49000, (count, 77), generator=generator)
    towers = make_towers()
    # What ours reads from memory; each row was computed once, when its slice was first drawn.
    cached = tower_features(towers, pictures, words)
    firsts = torch.arange(b) * k
    paper, ours = Side(chosen.size, True), Side(chosen.size, False)
    single = planes[:, :1], positions[:, :1]

    def papers_step() -> float:
        return paper.step(volumes, *single, tower_features(towers, pictures[firsts], words[firsts]))

    equal = against_plain(ours, volumes, *single, (cached[0][firsts], cached[1][firsts]))
    papers_step()
    ours.step(volumes, *single, (cached[0][firsts], cached[1][firsts]))
    seconds: dict[str, list[float]] = {"paper": [], "ours": []}
    for number in range(chosen.runs + 1):
        for name, act in (("paper", papers_step), ("ours", lambda: ours.step(volumes, planes, positions, cached))):
            started = time.process_time()
            act()
            if number:
                seconds[name].append(time.process_time() - started)
    rate = {
        "paper": b / statistics.median(seconds["paper"]),
        "ours": count / statistics.median(seconds["ours"]),
    }
    row = {
        "goal": "P3",
        "ours": round(rate["ours"], 3),
        "peer": round(rate["paper"], 3),
        "ratio": round(rate["ours"] / rate["paper"], 1),
        "target": f">= {TARGET} at K = 8, loss and gradient at K = 1 within {EQUAL} of the paper's step",
        "reached": rate["ours"] / rate["paper"] >= TARGET and max(equal.values()) <= EQUAL,
        "others": {},
        "unit": "pairs a second",
        "spread_seconds": {name: [round(min(v), 2), round(max(v), 2)] for name, v in seconds.items()},
        "difference_at_one": equal,
        "size": chosen.size,
        "batch": b,
        "slices": k,
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
