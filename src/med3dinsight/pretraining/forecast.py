"""What a run would take, told before it starts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..workspace import Workspace
from .checking import check, identify
from .config import PretrainConfig
from .methods import find_method
from .psat_choices import TRANSPORT

if TYPE_CHECKING:
    import torch

    from ..training.memory import StorageMeter
    from .objective import Inputs, Represented
    from .pool import Pool

#: Resident over tensor bytes of what a step takes and gives back, on CPUs: malloc keeps holes between blocks of less
#: than 32 MiB. Measured 1.2 to 1.6, and 2.2 for many small maps (`benchmarks/memory_forecast.py`).
_WITH_HOLES = 1.45
#: Float64 matrices of pairs x pairs that the optimum of a transport problem takes more than one plain iteration.
_OPTIMUM_MATRICES = 6


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
    known = identify(config, workspace)
    checked = check(known, workspace)
    config, pool, device = known.config, checked.pool, checked.device
    if config.init is not None:
        _check_weights(config.encoder, pool.crop_size, config.init)
        config = config.model_copy(update={"init": None})
    on_cpu = device.type == "cpu"
    process = _warm_process(config.encoder, pool.crop_size) if on_cpu else 0
    kept, passing, parameters = _count(config, pool, device)
    needed = process + kept + (_WITH_HOLES if on_cpu else 1.0) * passing
    return {"peak_memory_bytes": int(needed), "of_which_process": process, "parameters": parameters}


def _count(config: PretrainConfig, pool: Pool, device: torch.device) -> tuple[int, int, int]:
    """Returns the bytes that are kept from step to step, those of a step beside them, and the encoder's parameters."""
    import torch

    from ..losses.balanced_transport import SCALING_RANGE
    from ..training.memory import forecast_tensors
    from .building import build_objective, kept_of
    from .collapse import listening, tell_spread
    from .loop import gradient_step, make_optimizer, tell

    moves = config.alignment in TRANSPORT and find_method(config.method).build is not None
    # How long the optimum of a transport is sought follows from values; one iteration does not.
    by_optimum = moves and not config.ot_iterations
    tried = config.model_copy(update={"ot_iterations": 1}) if by_optimum else config
    # Whether a plan's factors fit fp32, which the solver asks for. Costs lie in [0, 1]; with a small regularization a
    # run may begin in fp32 and come to need logarithms when pairs match well, which is what is forecast.
    truth = not moves or 1 / config.ot_regularization <= SCALING_RANGE
    parameters = second = 0

    def step(meter: StorageMeter) -> Any:
        nonlocal parameters, second
        built = build_objective(tried, pool)
        parameters = sum(value.numel() for value in built.encoder.parameters())
        if built.objective is None:
            return built
        assert isinstance(built.objective, torch.nn.Module)
        optimizer = make_optimizer(built.objective, tried.recipe)
        setattr(built.objective, "represent", _twice(built.objective.represent))  # noqa: B010 - a method of a protocol
        with listening(built.objective.encoder) as heard:
            inputs, represented, terms, _ = gradient_step(
                built.objective, optimizer, pool, tried, 0, torch.device("cpu"), device
            )
        # What the optimiser keeps appears when it first steps; the second step is the first one beside it.
        second, before = meter.peak, meter.live
        optimizer.step()
        second += meter.live - before
        built.objective.after_step(0)
        if built.average is not None:
            built.average.update(kept_of(built.objective))
        told = tell(built.objective, represented, inputs, terms)
        tell_spread(heard, represented, told, warm=True)
        return built, optimizer

    tensors = forecast_tensors(step, truth=truth)
    passing = max(tensors.peak, second) - tensors.kept
    if by_optimum:
        pairs = config.recipe.batch_volumes * (config.slices_per_volume or 1)
        passing += _OPTIMUM_MATRICES * 8 * pairs**2
    return tensors.kept, passing, parameters


def _twice(represent: Callable[[Inputs], Represented]) -> Callable[[Inputs], Represented]:
    """Has two chunks of a kind represented; the others take what these took, and are left out."""
    import torch

    made: defaultdict[tuple[bool, int], list[dict[str, tuple[torch.Size, torch.dtype]]]] = defaultdict(list)

    def few(inputs: Inputs) -> Represented:
        like = made[torch.is_grad_enabled(), len(next(iter(inputs.values())))]
        if len(like) == 2:
            return {name: torch.empty(shape, dtype=kind) for name, (shape, kind) in like[0].items()}
        represented = represent(inputs)
        like.append({name: (value.shape, value.dtype) for name, value in represented.items()})
        return represented

    return few


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
