"""Does what a text says agree with what is known of its slice?"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from .claims import Claims
from .facts import SliceFacts
from .vocabulary import ORGANS, PAIRED

#: Flags of the caption ledger by which a text contradicts its slice whatever its words say.
CONTRADICTING_FLAGS = {"plane": "wrong-plane", "modality": "wrong-modality"}


@dataclass(frozen=True)
class Verdict:
    """What came of checking one text; None stands for "it says nothing that can be checked".

    Attributes:
        plane: Whether it names the slice's plane, and no other one, and was not flagged for another one.
        modality: The same for the modality.
        side: Whether the sides it names agree with where the slice is and with the label map.
        organs: ``{organ: whether it is in the slice}`` of those that it names and that the label map can tell.
        reasons: What is wrong, in words.
        by_flag: "plane", "modality": where its words do not contradict the slice, and its flag alone tells that the
            model answered another one beside them.
    """

    plane: bool | None
    modality: bool | None
    side: bool | None
    organs: dict[str, bool]
    reasons: tuple[str, ...]
    by_flag: frozenset[str] = frozenset()

    @property
    def checked(self) -> bool:
        """Whether the text says anything that could be checked."""
        return bool(self.organs) or any(part is not None for part in (self.plane, self.modality, self.side))

    @property
    def organs_agree(self) -> bool | None:
        """Whether every organ that could be checked is in the slice."""
        return all(self.organs.values()) if self.organs else None


def judge(claims: Claims, facts: SliceFacts, flags: Collection[str] = ()) -> Verdict:
    """Checks what a text says, and what it was flagged for, against what is known of its slice.

    Args:
        claims: What the text says.
        facts: What is known of its slice.
        flags: What was noticed about it when it was written: then the model's structured answer was there, which may
            name another plane or modality than the text.
    """
    reasons = []
    agreeing = {"plane": _same(claims.planes, facts.plane), "modality": _same(claims.modalities, facts.modality)}
    by_flag = frozenset(
        part for part, flag in CONTRADICTING_FLAGS.items() if flag in flags and agreeing[part] is not False
    )
    for part, true, said in (
        ("plane", facts.plane, claims.planes),
        ("modality", facts.modality.upper(), frozenset(name.upper() for name in claims.modalities)),
    ):
        if part in by_flag:
            agreeing[part] = False
            reasons.append(f"flagged {CONTRADICTING_FLAGS[part]} when it was written, is {true}")
        elif agreeing[part] is False:
            reasons.append(f"says {' and '.join(sorted(said))}, is {true}")
    organs = {organ: organ in facts.organs for organ, _ in claims.organs if organ in facts.labelled}
    reasons += [
        f"names the {organ}, which the label map does not show here" for organ in sorted(organs) if not organs[organ]
    ]
    side, wrong_sides = _sides(claims, facts)
    return Verdict(agreeing["plane"], agreeing["modality"], side, organs, (*reasons, *wrong_sides), by_flag)


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
