"""Public data sets by name, as they lie on the disk after their download; one short file each."""

from __future__ import annotations

from ..layout import Layout

#: In the order in which they are tried; ``{name: layout}``, each with its facts.
DATASETS: dict[str, Layout] = {}
