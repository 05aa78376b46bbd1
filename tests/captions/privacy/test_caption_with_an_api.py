"""docs/how-to/caption-with-an-api.md: its policy is one, and the sets that it names are those that forbid it."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import pytest

from med3dinsight.captions.privacy.guard import check_may_send
from med3dinsight.datasets.public import DATASETS
from med3dinsight.errors import PrivacyError

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "caption-with-an-api.md"


def test_the_policy_of_the_page_allows_what_the_page_says(tmp_path, case):
    (toml,) = re.findall(r"```toml\n(# policy\.toml\n.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    path = tmp_path / "policy.toml"
    path.write_text(toml, encoding="utf-8")

    def ask(url, day):
        cases = [case(origin="Liver study 2024")]
        return check_may_send(cases, url, allow_remote=True, policy=path, today=day)

    assert ask("https://api.example.com/v1", datetime.date(2026, 6, 1)).remote
    for url, day in [("https://api.example.org/v1", (2026, 6, 1)), ("https://api.example.com/v1", (2027, 3, 2))]:
        with pytest.raises(PrivacyError):
            ask(url, datetime.date(*day))


def test_the_page_names_every_set_that_forbids_it():
    text = PAGE.read_text(encoding="utf-8")
    for layout in DATASETS.values():
        if layout.facts.third_parties == "forbidden":
            assert re.sub(r" (\(|\d).*", "", layout.facts.title) in text
