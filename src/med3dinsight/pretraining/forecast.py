"""What a run would take, told before it starts."""

from __future__ import annotations

from typing import Any

from ..workspace import Workspace
from .checking import check, identify
from .config import PretrainConfig

#: Resident over tensor bytes on CPUs: what malloc and oneDNN keep. Measured 1.1-1.4 for steps of 40 MiB to 1.4 GiB.
_KEPT = 1.3
#: Matrices of pairs x pairs that a loss of the whole batch holds, with their gradients.
_PAIR_MATRICES = 8


def forecast(config: PretrainConfig, workspace: Workspace) -> dict[str, Any]:
    """Forecasts the peak memory of a run by running its step on tensors that hold nothing.

    Args:
        config: As for :func:`run`.
        workspace: Ready for the run.

    Returns:
        ``{"peak_memory_bytes", "of_which_process", "parameters"}``; on a CPU memory of the process, on a GPU of the
        device's tensors.

    Raises:
        UserError: All that :func:`run` refuses before it trains; or nothing can be forecast.
    """
    import torch

    from ..training.memory import forecast_peak
    from .building import build_objective
    from .gradient_cache import batch_statistics_refused
    from .loop import make_optimizer, precision_of

    known = identify(config, workspace)
    checked = check(known, workspace)
    config, pool, device = known.config, checked.pool, checked.device
    if config.init is not None:
        _check_weights(config.encoder, pool.crop_size, config.init)
        config = config.model_copy(update={"init": None})
    count = 0

    def step() -> Any:
        nonlocal count
        built = build_objective(config, pool)
        count = sum(value.numel() for value in built.encoder.parameters())
        if built.objective is None:
            return built
        assert isinstance(built.objective, torch.nn.Module)
        optimizer = make_optimizer(built.objective, config.recipe)
        batch = config.recipe.batch_volumes
        chunk = min(config.micro_batch or batch, batch)
        for number in range(2):
            inputs = {name: value[:chunk].clone() for name, value in built.objective.draw(pool, number).items()}
            optimizer.zero_grad()
            cut = chunk if chunk < batch else None
            with precision_of(config, built.objective, pool, device)(), batch_statistics_refused(built.objective, cut):
                represented = built.objective.represent(inputs)
            # The loss itself looks at values; what it holds is added below.
            torch.stack([value.float().square().mean() for value in represented.values()]).sum().backward()
            optimizer.step()
        return built, optimizer

    process = _warm_process(config.encoder, pool.crop_size) if device.type == "cpu" else 0
    tensors = forecast_peak(step)
    pairs = config.recipe.batch_volumes * (config.slices_per_volume or 1)
    tensors += _PAIR_MATRICES * 4 * pairs**2
    kept = _KEPT if device.type == "cpu" else 1.0
    return {"peak_memory_bytes": int(process + kept * tensors), "of_which_process": process, "parameters": count}


def _check_weights(name: str, image_size: int, weights: str) -> None:
    """Loads initial weights as the run would; apart from the forecast, whose tensors hold no values to be looked at."""
    from ..encoders.published_weights import check_published
    from ..encoders.registry import create_encoder

    if weights == "published":  # which a look does not download
        check_published(name)
        return
    create_encoder(name, image_size=image_size, pretrained=weights)


def _warm_process(name: str, image_size: int) -> int:
    """Returns what the process holds when the libraries that a step needs have been loaded by a tiny step."""
    import torch

    from ..encoders.conv_tiny import ConvTiny
    from ..encoders.registry import create_encoder
    from ..training.memory import resident_bytes
    from ..training.precision import autocast

    with torch.device("meta"):
        create_encoder(name, image_size=image_size)
    encoder = ConvTiny()
    optimizer = torch.optim.AdamW(encoder.parameters(), fused=True)
    with autocast(torch.device("cpu")):
        loss = encoder(torch.rand(1, 1, 32, 32, 32)).tokens.float().mean()
    loss.backward()
    optimizer.step()
    del encoder, optimizer, loss
    return resident_bytes()
