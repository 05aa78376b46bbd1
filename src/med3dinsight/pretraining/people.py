"""Who may be seen in pre-training, and the refusals that keep the others out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..datasets.leakage import Scans, warn_of_copies
from ..encoders.seen import Seen, facts_of, seen_in
from ..errors import ConfigError, LeakageError
from ..records import Case


def training_cases(cases: Mapping[str, Case], held_out: Iterable[str]) -> list[Case]:
    """Returns the cases that pre-training may see.

    Args:
        cases: All prepared cases by id.
        held_out: Subjects that it must not see.

    Raises:
        ConfigError: A subject held out is not in the workspace, or nobody is left.
        LeakageError: The voxels of a subject held out are also there under another subject.

    Warns:
        CopiedScanWarning: Two of the others have the same scan.
    """
    away = set(held_out)
    known = {case.subject for case in cases.values()}
    if unknown := sorted(away - known):
        names = ", ".join(sorted(known))
        raise ConfigError(f"held-out subject {unknown[0]} is not in the workspace", f"known: {names}")
    hidden = Scans(case for case in cases.values() if case.subject in away)
    seen = [case for case in cases.values() if case.subject not in away]
    for case in seen:
        if (twin := hidden.copy_of(case)) is not None:
            raise LeakageError(
                f"case {case.id} of subject {case.subject} has the very voxels of held-out {twin.id} ({twin.subject}): "
                f"{case.image} and {twin.image}",
                "hold both subjects out, or remove the copy and prepare again",
            )
    if not seen:
        raise ConfigError("every subject is held out", "leave some people for pre-training")
    warn_of_copies(seen, "pre-training")
    return seen


@dataclass(frozen=True)
class Sighted:
    """Whom an encoder has seen when a run ends: its own cases, and those of its initial weights.

    Attributes:
        cases: Its own.
        before: Whom the initial weights have seen.
        labels: Whose label maps its texts were made from; None where of nobody's.
    """

    cases: list[Case]
    before: Seen
    labels: Seen | None = None

    @property
    def seen(self) -> Seen:
        """Both together; not known where that of the initial weights is not."""
        return self.before.and_cases(self.cases)


def seen_by(weights: str | None) -> Seen:
    """Returns whom initial weights have seen, a file or a name of published ones; random ones have seen nobody."""
    return seen_in(facts_of(Path(weights))) if weights else Seen()


def refuse_seen(cases: Iterable[Case], held_out: Iterable[str], seen: Seen, weights: str | None) -> None:
    """Refuses initial weights that have seen somebody who is held out now.

    Raises:
        LeakageError: They have, by name or by voxels.
    """
    away, everybody = set(held_out), list(cases)
    for case in everybody:
        if case.subject in away and seen.has_seen(case):
            raise LeakageError(
                f"the initial weights {weights} have seen {case.id} of held-out subject {case.subject}: "
                f"{seen.sighting(case, everybody)}",
                "start from weights that were pre-trained without that person",
            )


def refuse_fitted(held_out: Iterable[str], embedded_without: Iterable[str]) -> None:
    """Refuses targets whose projections were fitted on people that pre-training must not see.

    Args:
        held_out: Subjects that pre-training must not see.
        embedded_without: Subjects that the projections were not fitted on.

    Raises:
        LeakageError: Somebody is held out of the one and not of the other.
    """
    away = sorted(set(held_out))
    if fitted := sorted(set(away) - set(embedded_without)):
        raise LeakageError(
            f"the projections of the 2D features were fitted on held-out subject {fitted[0]}",
            f"run `med3dinsight embed` again with {' '.join(f'--held-out {name}' for name in away)}",
        )


def refuse_labels(cases: Iterable[Case], held_out: Iterable[str], labels: Seen | None, captioner: str) -> None:
    """Refuses texts that were made from the label map of somebody who is held out.

    Args:
        cases: All prepared cases.
        held_out: Subjects that pre-training must not see.
        labels: Whose label maps the texts were made from; None where of nobody's.
        captioner: Whose texts.

    Raises:
        LeakageError: They were, by name or by voxels.
    """
    away, everybody = set(held_out), list(cases)
    for case in everybody:
        if labels is not None and case.subject in away and labels.has_seen(case):
            names = ", ".join(f'"{name}"' for name in sorted(away))
            raise LeakageError(
                f"texts of {captioner} were made from the label map of {case.id} of held-out subject {case.subject}: "
                f"{labels.sighting(case, everybody)}",
                f"caption again with --set 'caption.held_out=[{names}]', then embed again",
            )
