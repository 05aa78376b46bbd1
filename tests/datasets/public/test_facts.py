"""What is said of each public data set, and the page that is written from it."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from med3dinsight.datasets.public import DATASETS

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_says_whose_it_is_and_what_may_be_done_with_it(name):
    layout = DATASETS[name]
    facts = layout.facts
    assert facts.title and facts.modality and facts.licence
    assert re.search(r"\b(19|20)\d\d\b", facts.citation)
    assert re.search(r"doi:10\.\d{4,}/\S+|arXiv \d{4}\.\d{5}", facts.citation)
    assert facts.url.startswith(("https://", "http://medicaldecathlon.com"))
    assert len({value for value, _ in facts.classes}) == len(facts.classes)
    assert all(0 < value < 1 << 16 and text for value, text in facts.classes)
    assert "\n" not in layout.description and ": " in layout.description


def test_data_behind_a_gate_may_not_be_shown_to_services_of_others():
    assert {facts.third_parties for layout in DATASETS.values() if (facts := layout.facts).gated} <= {
        "forbidden",
        "unknown",
    }
    for name in ("ct_rate", "bimcv_r", "adni_seg", "brats", "mmwhs_ct"):
        assert DATASETS[name].facts.third_parties == "forbidden"


def test_only_licences_that_let_anybody_pass_data_on_allow_services_of_others():
    allowed = {layout.facts.licence for layout in DATASETS.values() if layout.facts.third_parties == "allowed"}
    assert allowed == {"CC BY-SA 4.0", "CC BY 4.0"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("lits", "msd_liver"),
        ("lits", "3dseg8"),
        ("lits", "abdomenct1k"),
        ("abdomenct1k", "msd_spleen"),
        ("abdomenct1k", "msd_pancreas"),
        ("3dseg8", "abdomenct1k"),
        ("msd_liver", "lits"),
        ("msd_spleen", "abdomenct1k"),
        ("msd_brain", "brats"),
        ("brats", "msd_brain"),
    ],
)
def test_sets_that_share_people_say_so(one, other):
    assert other in DATASETS[one].facts.note


def test_the_collection_counts_the_published_training_volumes():
    from med3dinsight.datasets.public.threedseg8 import NUM_VOLUMES

    assert NUM_VOLUMES == 1552


def test_the_page_is_what_the_readers_say():
    spec = importlib.util.spec_from_file_location("make_page", REFERENCE / "make_public_datasets.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    hint = "write it again: python docs/reference/make_public_datasets.py"
    assert made.PAGE.read_text(encoding="utf-8") == made.page(), hint
