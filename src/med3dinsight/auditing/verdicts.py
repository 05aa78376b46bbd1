"""Does what a text says agree with what is known of its slice?"""

from __future__ import annotations

from dataclasses import dataclass

from .claims import Claims
from .facts import SliceFacts
from .vocabulary import ORGANS, PAIRED


@dataclass(frozen=True)
class Verdict:
    """What came of checking one text; None stands for "it says nothing that can be checked".

    Attributes:
        plane: Whether it names the slice's plane, and no other one.
        modality: The same for the modality.
        side: Whether the sides it names agree with where the slice is and with the label map.
        organs: ``{organ: whether it is in the slice}`` of those that it names and that the label map can tell.
        reasons: What is wrong, in words.
    """

    plane: bool | None
    modality: bool | None
    side: bool | None
    organs: dict[str, bool]
    reasons: tuple[str, ...]

    @property
    def checked(self) -> bool:
        """Whether the text says anything that could be checked."""
        return bool(self.organs) or any(part is not None for part in (self.plane, self.modality, self.side))

    @property
    def organs_agree(self) -> bool | None:
        """Whether every organ that could be checked is in the slice."""
        return all(self.organs.values()) if self.organs else None


def judge(claims: Claims, facts: SliceFacts) -> Verdict:
    """Checks what a text says against what is known of its slice."""
    reasons = []
    plane, modality = _same(claims.planes, facts.plane), _same(claims.modalities, facts.modality)
    for true, said, agrees in (
        (facts.plane, claims.planes, plane),
        (facts.modality.upper(), frozenset(name.upper() for name in claims.modalities), modality),
    ):
        if agrees is False:
            reasons.append(f"says {' and '.join(sorted(said))}, is {true}")
    organs = {organ: organ in facts.organs for organ, _ in claims.organs if organ in facts.labelled}
    reasons += [
        f"names the {organ}, which the label map does not show here" for organ in sorted(organs) if not organs[organ]
    ]
    side, wrong_sides = _sides(claims, facts)
    return Verdict(plane, modality, side, organs, (*reasons, *wrong_sides))


def _same(said: frozenset[str], true: str) -> bool | None:
    return said == {true} if said else None


def _sides(claims: Claims, facts: SliceFacts) -> tuple[bool | None, list[str]]:
    checked, reasons = False, []
    # A text that names both sides may speak of the picture's; one that names the wrong one alone does not.
    if len(facts.sides) == 1 and len(claims.sides) == 1:
        checked = True
        if claims.sides != facts.sides:
            reasons.append(f"says {next(iter(claims.sides))}, the slice lies in the {next(iter(facts.sides))} half")
    for organ, side in sorted(claims.organs):
        seen = facts.organs.get(organ)
        if (organ in ORGANS and organ not in PAIRED) or not side or seen is None:
            continue
        checked = True
        if not ({"right", "left"} if side == "both" else {side}) <= seen:
            reasons.append(f"says {side} {organ}, the label map shows the {' and '.join(sorted(seen))} one")
    return (not reasons) if checked else None, reasons
