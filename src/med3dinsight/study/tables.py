"""Which tables a study file has."""

from __future__ import annotations

from ..auditing.config import AuditConfig
from ..captions.config import CaptionConfig
from ..config import StageConfig
from ..evaluation.config import EvaluateConfig
from ..evaluation.readout_config import LocalizeConfig, ProbeConfig
from ..features.config import EmbedConfig
from ..finetuning.config import FinetuneConfig
from ..preparing.config import PrepareConfig
from ..pretraining.config import PretrainConfig
from ..report.config import ReportConfig

#: The stage tables: their settings, and which of these the study gives itself.
STAGES: dict[str, tuple[type[StageConfig], frozenset[str]]] = {
    "prepare": (PrepareConfig, frozenset({"source"})),
    "caption": (CaptionConfig, frozenset({"captioner", "name", "held_out"})),
    "audit": (AuditConfig, frozenset({"captioner"})),
    "embed": (EmbedConfig, frozenset({"captioner", "held_out"})),
    "pretrain": (PretrainConfig, frozenset({"run", "held_out", "seed"})),
    "finetune": (FinetuneConfig, frozenset({"run", "arm", "init", "validation", "test", "seed"})),
    "evaluate": (EvaluateConfig, frozenset({"runs"})),
    "localize": (LocalizeConfig, frozenset({"arms", "controls", "people"})),
    "probe": (ProbeConfig, frozenset({"runs", "test"})),
    "report": (ReportConfig, frozenset()),
}
TABLES = ("study", *STAGES, "arm")
