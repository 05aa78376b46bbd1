"""A study: which people, stages, arms and seeds; read from one TOML file."""

from .reading import read_study, study_from
from .study import Study
from .tables import TABLES

__all__ = ["TABLES", "Study", "read_study", "study_from"]
