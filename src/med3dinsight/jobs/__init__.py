"""Runs the jobs of a study side by side, each in a process of its own, in the order of what they need."""

from .job import Job, Outcome, StageFunction, complete_jobs, sum_up
from .schedule import default_workers, run_jobs

__all__ = ["Job", "Outcome", "StageFunction", "complete_jobs", "default_workers", "run_jobs", "sum_up"]
