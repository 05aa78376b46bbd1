"""Weights of others in: a file or a name -> an encoder of this package, with a table of what became of every tensor."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..encoders.published_weights import PUBLISHED, fetch_published
from ..encoders.registry import check_name, create_encoder
from ..encoders.seen import facts_of, seen_in
from ..errors import ConfigError, suggest
from ..types import Progress, silent
from ..workspace.files import write_json

if TYPE_CHECKING:
    from ..encoders.load_report import LoadReport

#: Network classes that nnssl's files name, and which encoder that is.
NNSSL_CLASSES = {"ResEncL": "resenc_l", "PrimusM": "primus_m"}
#: Facts about a pre-training run that stay true of its weights wherever they go, beside whom they have seen.
_KEPT = ("run", "fingerprint", "method", "captioner", "towers", "match", "shuffled_pairs", "seed")


@dataclass(frozen=True)
class Imported:
    """What was imported.

    Attributes:
        encoder: Name of the encoder.
        weights: The written file; ``encoder.json`` lies beside it.
        report: What became of every tensor.
    """

    encoder: str
    weights: Path
    report: LoadReport


def import_weights(
    source: str,
    *,
    encoder: str | None = None,
    image_size: int | None = None,
    minimum_share: float | None = None,
    output: Path | None = None,
    progress: Progress = silent,
) -> Imported:
    """Reads weights of whatever origin and writes them as an encoder of this package.

    Args:
        source: A file, or a name of :data:`med3dinsight.encoders.published_weights.PUBLISHED`.
        encoder: Name of the encoder; left out where the source tells.
        image_size: Edge of the cubes the encoder is meant for; position tables are interpolated to it. By default
            the one that a file of our own tells, else 128.
        minimum_share: Share of the encoder that must be found, 0..1; by default that of the loader.
        output: Folder for ``encoder.safetensors`` and ``encoder.json``; by default ``imported/NAME``.
        progress: Told about what is downloaded.

    Raises:
        ConfigError: The encoder is unknown, the source does not tell it, or no published weights are called so.
        DownloadError: Published weights cannot be fetched or verified.
        InputError: The file cannot be read, or too little of the encoder is in it.
    """
    from ..encoders.loading import MINIMUM_SHARE, WeightsWarning, load_pretrained
    from ..encoders.weights import save_weights

    published = PUBLISHED.get(source) if not Path(source).exists() else None
    if published is None and not Path(source).exists() and not Path(source).suffix:
        raise ConfigError(f"no file and no published weights called {source}", suggest(source, PUBLISHED))
    path = fetch_published(source, progress) if published else Path(source)
    facts = facts_of(path) or {}
    told = facts.get("encoder") or facts.get("network")
    name = encoder or (published.encoder if published else None) or told or _nnssl_encoder(path)
    if name is None:
        raise ConfigError(f"{source} does not say which encoder it is of", "add --encoder NAME; see `encoders`")
    check_name(name)
    size = image_size or facts.get("image_size") or 128
    module = create_encoder(name, image_size=size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WeightsWarning)  # they are in the report
        report = load_pretrained(module, path, minimum_share=MINIMUM_SHARE if minimum_share is None else minimum_share)
    folder = output if output is not None else Path("imported") / Path(source).stem
    origin = {"imported_from": source, "loaded_share": report.share}
    if published:
        origin |= {"licence": published.licence, "source": published.source}
    kept = {key: facts[key] for key in _KEPT if key in facts}
    facts = {"encoder": name, "image_size": size, **origin, **kept, **seen_in(facts or None).as_json()}
    save_weights(folder / "encoder.safetensors", module, facts)
    write_json(folder / "encoder.json", facts)
    write_json(folder / "loading.json", report.as_json())
    return Imported(name, folder / "encoder.safetensors", report)


def _nnssl_encoder(path: Path) -> str | None:
    from ..encoders.weight_files import read_weight_file

    plan = read_weight_file(path).plan
    return NNSSL_CLASSES.get(plan.get("architecture_plans", {}).get("arch_class_name", ""))
