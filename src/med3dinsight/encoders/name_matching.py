"""Which tensor of a file is which of the encoder: prefixes and published layouts of names, found by what fits best."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from .key_layouts import LAYOUTS

#: How many elements of the encoder's tensor are filled; 0 where the tensor does not fit.
Fits = Callable[[str, Tensor], int]


@dataclass(frozen=True)
class Match:
    """The best reading of a file's names.

    Attributes:
        elements: Elements of the encoder that it fills.
        sources: ``{encoder's name: name after the layout's renaming}``.
        state: The tensors after the layout's renaming.
        layout: Published layout that the names were in; empty for none.
        prefix: What stands before the encoder's names in the file, as in "module.backbone.".
        dropped: What the encoder's names begin with and the file's do not.
        also: Other prefixes that fill as much.
    """

    elements: int
    sources: dict[str, str]
    state: Mapping[str, Tensor]
    layout: str = ""
    prefix: str = ""
    dropped: str = ""
    also: tuple[str, ...] = ()


def match_names(own: Mapping[str, Tensor], state: Mapping[str, Tensor], fits: Fits) -> Match:
    """Finds the prefix, and if names do not do as they are the published layout, that fills most of the encoder.

    Args:
        own: The encoder's state dict.
        state: The file's.
        fits: Says how much of the encoder a tensor fills.
    """
    best = _match(own, state, state, "", fits)
    if len(best.sources) == len(own):
        return best
    wrapper = _common_prefix(state)
    for layout, rename in LAYOUTS.items():
        for stripped in dict.fromkeys(("", wrapper)):
            renamed = rename({name.removeprefix(stripped): value for name, value in state.items()})
            if renamed.keys() != state.keys():
                best = max(best, _match(own, renamed, state, layout, fits), key=lambda match: match.elements)
    return best


def _match(
    own: Mapping[str, Tensor], state: Mapping[str, Tensor], original: Mapping[str, Tensor], layout: str, fits: Fits
) -> Match:
    common = _common_prefix(own)
    starts = [common[:cut] for cut in _cuts(common + "x")] if common else [""]
    found: list[Match] = []
    for dropped in starts:
        wanted = {name.removeprefix(dropped): name for name in own}
        filled: dict[str, int] = defaultdict(int)
        sources: dict[str, dict[str, str]] = defaultdict(dict)
        for key, value in state.items():
            for cut in _cuts(key):
                name = wanted.get(key[cut:])
                if name is not None and (elements := fits(name, value)):
                    filled[key[:cut]] += elements
                    sources[key[:cut]][name] = key
        for prefix, elements in filled.items():
            found.append(Match(elements, sources[prefix], state, layout, prefix, dropped))
    if not found:
        return Match(0, {}, state, layout)
    first, *rest = sorted(found, key=_order)
    also = [match.prefix for match in rest if match.elements == first.elements and match.dropped == first.dropped]
    return Match(first.elements, first.sources, state, layout, first.prefix, first.dropped, tuple(also))


def _order(match: Match) -> tuple[int, int, bool, str, str]:
    """Most first; among equals the shortest way, and a teacher before its student."""
    return (-match.elements, match.prefix.count("."), "teacher" not in match.prefix, match.prefix, match.dropped)


def _cuts(key: str) -> Iterator[int]:
    """Where a dotted name can be cut: before it, and behind every dot."""
    yield 0
    yield from (place + 1 for place, letter in enumerate(key) if letter == ".")


def _common_prefix(state: Mapping[str, Tensor]) -> str:
    """The longest run of whole parts with dots that all names begin with."""
    names = iter(state)
    parts = next(names, "").split(".")[:-1]
    for name in names:
        other = name.split(".")
        same = next((i for i, part in enumerate(parts) if i >= len(other) - 1 or other[i] != part), len(parts))
        parts = parts[:same]
    return "".join(f"{part}." for part in parts)
