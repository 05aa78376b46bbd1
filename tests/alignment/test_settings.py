from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from med3dinsight.alignment import PlaneSliceAwareTransformer, PSATSettings
from med3dinsight.alignment.settings import check
from med3dinsight.errors import ConfigError


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 130}, "width = 130 is no multiple of its 4 heads"),
        ({"num_queries": 0}, "num_queries = 0 is no count"),
        ({"num_layers": 1.5}, r"num_layers = 1\.5 is no count"),
        ({"num_heads": True}, "num_heads = True is no count"),
        ({"dropout": 1.0}, r"dropout = 1\.0 is no share"),
        ({"dropout": -0.1}, r"dropout = -0\.1 is no share"),
        ({"pooling": "means"}, r"pooling = 'means' is no choice \(did you mean mean\?\)"),
        ({"module": "lineal"}, r"module = 'lineal' is no choice \(did you mean linear\?\)"),
        ({"positions": "tables"}, r"did you mean table\?"),
        ({"position_at": "nowhere"}, "known: every_layer, input"),
    ],
)
def test_choices_that_do_not_exist_or_fit_are_named(changes: dict[str, Any], message: str) -> None:
    settings = PSATSettings()
    for name, value in changes.items():
        # Past the type check of test runs, as a user's Python would.
        object.__setattr__(settings, name, value)
    with pytest.raises(ConfigError, match=message):
        check(settings)


def test_settings_that_do_not_fit_cannot_be_made() -> None:
    with pytest.raises(ConfigError, match="no multiple of its 4 heads"):
        replace(PSATSettings(), width=130)


def test_heads_do_not_matter_where_nothing_attends() -> None:
    assert PSATSettings(module="linear", width=130).width == 130


def test_one_projection_for_features_of_two_widths_is_refused() -> None:
    shared = PSATSettings(project="shared")
    with pytest.raises(ConfigError, match="image features of 6 and text features of 5"):
        PlaneSliceAwareTransformer(8, 6, 5, shared)
    PlaneSliceAwareTransformer(8, 6, 6, shared)
