"""Data and origins: who was prepared, how, from where, and what each subject was used for."""

from __future__ import annotations

from dataclasses import dataclass

from ...records import Case
from ..inputs import Inputs
from ..wording import UNDEFINED, count, listed, number

TEST, PRETRAINED, TRAINED, VALIDATED, UNUSED = "test", "pre-training", "fine-tuning", "validation", "not used"


@dataclass(frozen=True)
class CaseRow:
    """A row of the table of cases; every field is a text to show, ``uses`` several."""

    case: str
    subject: str
    uses: tuple[str, ...]
    modality: str
    prepared: str
    source: str
    labels: str
    origin: str
    licence: str


@dataclass(frozen=True)
class DataSection:
    """The table of cases, whether training and test are apart, and what was left out of preparing with the reason."""

    separation: str
    rows: tuple[CaseRow, ...]
    left_out: tuple[tuple[str, str], ...]


def data_section(inputs: Inputs) -> DataSection:
    """Describes every prepared case, and every file that could not be prepared."""
    uses = uses_of_subjects(inputs)
    mixed = seen_test_subjects(inputs)
    left_out = [item for record in inputs.of_stage("prepare").values() for item in record.result.get("left_out", ())]
    return DataSection(
        separation=_separation(mixed, runs_of_unknown_origin(inputs)),
        rows=tuple(_row(case, uses.get(case.subject, (UNUSED,))) for case in inputs.cases),
        left_out=tuple((str(item["file"]).rsplit("/", 1)[-1], str(item["reason"])) for item in left_out),
    )


def _separation(mixed: list[str], unknown: list[str]) -> str:
    if mixed:
        return f"Careful: {listed(mixed)} was used both for training and for test."
    apart = "Splits go by subject: nobody who is tested was seen in any training"
    if not unknown:
        return f"{apart}."
    return (
        f"{apart} here. {listed(unknown)} started from weights of which nothing tells whom they had seen before: the "
        "people who are tested may be among them."
    )


def runs_of_unknown_origin(inputs: Inputs) -> list[str]:
    """Returns the runs whose initial weights do not tell whom they had seen."""
    found = [run.name for run in inputs.pretraining if run.facts.get("seen") == "unknown"]
    told = [(run.name, run.facts.get("initial_weights") or {}) for run in inputs.fine_tuned]
    return [*found, *(name for name, weights in told if weights.get("seen") == "unknown")]


def uses_of_subjects(inputs: Inputs) -> dict[str, tuple[str, ...]]:
    """Returns what each subject was used for: read from the finished runs, not from what was planned."""
    found: dict[str, dict[str, None]] = {}

    def add(subjects: list[str], use: str) -> None:
        for subject in subjects:
            found.setdefault(subject, {})[use] = None

    add(test_subjects(inputs), TEST)
    for run in inputs.pretraining:
        add(run.facts["subjects"], PRETRAINED)
    for run in inputs.fine_tuned:
        add((run.facts.get("initial_weights") or {}).get("subjects", []), PRETRAINED)
        add(run.facts["train"], TRAINED)
        add(run.facts["validation"], VALIDATED)
    return {subject: tuple(uses) for subject, uses in found.items()}


def test_subjects(inputs: Inputs) -> list[str]:
    """Returns the subjects that something was tested on, else those that the study means to test on."""
    tested = {subject for run in inputs.fine_tuned for subject in run.facts["test"]}
    for row in (inputs.localization or {}).values():
        tested |= set(people_of(row["person"]))
    for record in inputs.of_stage("probe").values():
        tested |= set(record.config.get("test", ()))
    return sorted(tested or inputs.study.get("test_subjects", ()))


def seen_test_subjects(inputs: Inputs) -> list[str]:
    """Returns the test subjects that some training has seen: pre-training, fine-tuning, or fitting the projections."""
    learned = {subject for run in inputs.pretraining for subject in run.facts["subjects"]}
    learned |= {subject for run in inputs.fine_tuned for side in ("train", "validation") for subject in run.facts[side]}
    for run in inputs.fine_tuned:
        learned |= set((run.facts.get("initial_weights") or {}).get("subjects", ()))
    for record in inputs.of_stage("embed").values():
        learned |= {case.subject for case in inputs.cases} - set(record.config.get("held_out", ()))
    return sorted(learned & set(test_subjects(inputs)))


def people_of(person: str | list[str]) -> list[str]:
    """Returns the entry ``person`` of ``localization.json`` as a list."""
    return [person] if isinstance(person, str) else list(person)


def _row(case: Case, uses: tuple[str, ...]) -> CaseRow:
    guessed = ", guessed from its intensities" if case.modality_guessed else ""
    return CaseRow(
        case=case.id,
        subject=case.subject,
        uses=uses,
        modality=case.modality.upper() + guessed,
        prepared=f"{_shape(case.shape)} at {_spacing(case.spacing_mm)} mm",
        source=_shape(case.source_shape),
        labels=_labels(case),
        origin=case.origin or UNDEFINED,
        licence=case.licence or UNDEFINED,
    )


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(str(length) for length in shape)


def _spacing(spacing: tuple[float, ...]) -> str:
    sizes = [number(size, 2).rstrip("0").rstrip(".") for size in spacing]
    return sizes[0] if len(set(sizes)) == 1 else " × ".join(sizes)


def _labels(case: Case) -> str:
    if not case.has_label:
        return "no label map"
    names = [name for _, name in case.label_names]
    return count(len(names), "named structure") if len(names) > 3 or not names else ", ".join(names)
