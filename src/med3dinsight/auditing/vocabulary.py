"""The words by which a text names planes, modalities, sides and organs.

Only words that leave no doubt: "frontal" also names a lobe and a bone, "hepatic" a vessel far from the liver.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

PLANES: dict[str, tuple[str, ...]] = {
    "axial": ("axial", "transaxial", "transverse plane", "transverse slice", "transverse view", "transverse section"),
    "coronal": ("coronal", "frontal plane", "frontal slice", "frontal view", "frontal section"),
    "sagittal": ("sagittal", "parasagittal", "midsagittal"),
}
MODALITIES: dict[str, tuple[str, ...]] = {
    "ct": ("ct", "cta", "computed tomography", "cat scan"),
    "mr": ("mri", "mra", "magnetic resonance"),
    "radiograph": ("x-ray", "x ray", "radiograph", "mammogram", "mammography"),
    "ultrasound": ("ultrasound", "sonogram", "sonography", "echocardiogram"),
    "pet": ("positron emission tomography",),
}
SIDES: dict[str, tuple[str, ...]] = {
    "right": ("right", "right-sided"),
    "left": ("left", "left-sided"),
    "both": ("both", "bilateral"),
}
ORGANS: dict[str, tuple[str, ...]] = {
    "adrenal gland": ("adrenal", "adrenals", "adrenal gland", "adrenal glands"),
    "aorta": ("aorta",),
    "bladder": ("bladder", "urinary bladder"),
    "bowel": (
        "bowel",
        "bowels",
        "intestine",
        "intestines",
        "small bowel",
        "large bowel",
        "colon",
        "duodenum",
        "rectum",
    ),
    "brain": ("brain", "cerebrum", "cerebellum", "brainstem"),
    "breast": ("breast", "breasts"),
    "clavicle": ("clavicle", "clavicles", "clavicula"),
    "esophagus": ("esophagus", "oesophagus"),
    "eye": ("eye", "eyes", "eyeball", "eyeballs"),
    "femur": ("femur", "femurs", "femora", "femoral head", "femoral heads"),
    "gallbladder": ("gallbladder", "gall bladder"),
    "heart": ("heart", "left ventricle", "right ventricle", "left atrium", "right atrium", "myocardium"),
    "hippocampus": ("hippocampus", "hippocampi"),
    "humerus": ("humerus", "humeri"),
    "kidney": ("kidney", "kidneys"),
    "liver": ("liver",),
    "lung": ("lung", "lungs"),
    "pancreas": ("pancreas",),
    "prostate": ("prostate",),
    "rib": ("rib", "ribs"),
    "sacrum": ("sacrum",),
    "scapula": ("scapula", "scapulae", "shoulder blade", "shoulder blades"),
    "skull": ("skull", "cranium"),
    "spinal cord": ("spinal cord",),
    "spine": ("spine", "vertebra", "vertebrae", "vertebral body", "vertebral bodies", "spinal column"),
    "spleen": ("spleen",),
    "sternum": ("sternum", "breastbone"),
    "stomach": ("stomach",),
    "thyroid": ("thyroid", "thyroid gland"),
    "trachea": ("trachea", "windpipe"),
    "uterus": ("uterus",),
    "vena cava": ("vena cava",),
}
#: Organs of which everybody has one on either side: of the others a side is that of a part, as in "left atrium".
PAIRED = frozenset(
    {
        "adrenal gland",
        "breast",
        "clavicle",
        "eye",
        "femur",
        "hippocampus",
        "humerus",
        "kidney",
        "lung",
        "rib",
        "scapula",
    }
)
#: Names of labels that stand for nothing that a text would name.
_NOTHING = frozenset({"background", "other", "unknown", "unlabeled", "ignore", "body"})
_LEAST_LETTERS = 4


def meaning_of(table: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Returns ``{word: what it names}`` of a table of this file."""
    return {word: term for term, words in table.items() for word in words}


def pattern_of(words: Iterable[str]) -> re.Pattern[str]:
    """Returns a pattern of whole words, of any case, the longest first; a blank may be a hyphen too."""
    ordered = sorted(words, key=lambda word: (-len(word), word))
    either = "|".join(re.escape(word).replace(r"\ ", "[ -]").replace(r"\-", "[ -]") for word in ordered)
    return re.compile(rf"(?<![\w])(?:{either})(?![\w])", re.IGNORECASE)


_ORGAN_OF, _ORGAN = meaning_of(ORGANS), pattern_of(meaning_of(ORGANS))


def term_of_label(name: str) -> tuple[str, str]:
    """Returns the organ that a label of a label map stands for, and its side.

    Args:
        name: As the data set writes it.

    Returns:
        The organ by the name this file has for it, or else the label's own words; "" where no text would name it.
        The side is "right", "left" or "".

    Example:
        >>> term_of_label("kidney_right"), term_of_label("Lung upper lobe left"), term_of_label("psoas_left")
        (('kidney', 'right'), ('lung', 'left'), ('psoas', 'left'))
    """
    words = re.sub(r"[\W_]+", " ", name).strip().lower()
    sides = [side for side in ("right", "left") if side in words.split()]
    side = sides[0] if len(sides) == 1 else ""
    if (found := _ORGAN.search(words)) is not None:
        term = _ORGAN_OF[re.sub("-", " ", found.group().lower())]
        return term, side if term in PAIRED else ""
    if any(word.startswith("vertebra") for word in words.split()):
        return "spine", ""
    own = " ".join(word for word in words.split() if word not in ("right", "left"))
    return ("", "") if own in _NOTHING or len(own) < _LEAST_LETTERS else (own, side)
