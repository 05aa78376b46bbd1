"""Settings that not every method reads, in groups, and the choices on which some of them hang.

A setting that nothing reads is refused where it is set (:mod:`.resolving`): who sets it believes that it does
something.
"""

from __future__ import annotations

from collections.abc import Mapping

Names = frozenset[str]

#: Edge of a masked block in voxels where nothing is said.
MASK_BLOCK = 8

#: 2D features of slices, and their controls.
FEATURES: Names = frozenset({"captioner", "towers", "shuffled_pairs", "wrong_texts"})
#: One plain look at a crop; views move and change it otherwise.
LOOK: Names = frozenset({"contrast_augmentation", "shift_voxels"})
VIEWS: Names = frozenset({"contrast_augmentation"})
MASKS: Names = frozenset({"mask_ratio", "mask_block"})
_TRANSPORT: Names = frozenset({"metric", "ot_regularization", "ot_iterations"})
ALIGNMENT: Names = _TRANSPORT | {"alignment", "temperature", "learn_temperature", "ot_mass"}
_WHERE: Names = frozenset({"distance_bias", "position_init", "positions"})
_QUERIES: Names = frozenset(
    {"num_queries", "psat_width", "psat_layers", "psat_heads", "psat_dropout", "ffn_width", "pooling"}
)
PSAT: Names = _QUERIES | _WHERE | {"psat_module", "slices_per_volume", "match", "no_text"}
#: What is seen of a run while it trains.
LOOKING: Names = frozenset({"readout_every", "watch", "watch_classes", "tensorboard"})
_OTHERS: Names = frozenset(
    {
        "reconstruction",
        "reconstruction_weight",
        "text_dropout",
        "teacher_momentum",
        "projection_width",
        "normalized_targets",
        "local_views",
    }
)

#: Settings that some methods do not read; all others belong to every run.
SPECIFIC: Names = FEATURES | LOOK | MASKS | ALIGNMENT | PSAT | LOOKING | _OTHERS

#: ``{choice: {its value: settings that are read with it}}``; named under no value means that the choice is not asked.
CHOICES: Mapping[str, Mapping[str, Names]] = {
    "alignment": {
        "infonce": frozenset({"temperature", "learn_temperature"}),
        "sigmoid": frozenset({"temperature"}),
        "ot": _TRANSPORT,
        "partial-ot": _TRANSPORT | {"ot_mass"},
        "weighted-partial-ot": _TRANSPORT | {"ot_mass"},
        "transport-cost": _TRANSPORT | {"ot_mass"},
    },
    "reconstruction": {
        "none": frozenset(),
        "plain": frozenset({"reconstruction_weight"}),
        "masked": frozenset({"reconstruction_weight"}) | MASKS,
    },
    "psat_module": {"linear": frozenset(), "queries": _QUERIES, "plane_slice": _QUERIES | _WHERE},
}
