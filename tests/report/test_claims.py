from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from med3dinsight.report.claims import judge, localization_targets
from med3dinsight.report.config import ReportConfig

Make = Callable[..., dict[str, Any]]
ends = st.floats(-1, 1, allow_subnormal=False)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=ends, second=ends, metric=st.sampled_from(["dice", "nsd", "hd95_mm"]))
def test_a_gain_is_claimed_only_where_the_interval_excludes_0_on_the_better_side(
    make_comparison: Make, first: float, second: float, metric: str
) -> None:
    low, high = sorted((first, second))
    verdict = judge(make_comparison(metric, (low, high), p_adjusted=0.01))
    wholly_better = high < 0 if metric == "hd95_mm" else low > 0
    assert verdict.gain == (wholly_better and low < high)
    assert ("Better than scratch" in verdict.text) == verdict.gain
    if low <= 0 <= high:
        assert verdict.text == "No gain is claimed: the interval contains 0."


@pytest.mark.parametrize("ci95", [(0.0, 0.1), (-0.1, 0.0), (0.0, 0.0)])
def test_an_interval_that_ends_at_0_carries_no_gain(make_comparison: Make, ci95: tuple[float, float]) -> None:
    assert judge(make_comparison(ci95=ci95)).text.startswith("No gain is claimed")


def test_values_that_are_all_equal_carry_no_gain(make_comparison: Make) -> None:
    verdict = judge(make_comparison(ci95=(0.1, 0.1)))
    assert not verdict.gain
    assert "all values are equal" in verdict.text


def test_a_loss_is_said_to_be_one(make_comparison: Make) -> None:
    assert "Worse than scratch" in judge(make_comparison(ci95=(-0.2, -0.1))).text
    assert "Worse than scratch" in judge(make_comparison("hd95_mm", (0.5, 2.0))).text


def test_the_better_side_of_hd95_is_known_without_being_told(make_comparison: Make) -> None:
    row = make_comparison("hd95_mm", (-2.0, -1.0), p_adjusted=0.01)
    del row["better"]
    assert judge(row).gain


def test_a_difference_that_the_adjusted_test_does_not_support_is_no_gain(make_comparison: Make) -> None:
    unsupported = judge(make_comparison(ci95=(0.1, 0.2), p_adjusted=0.25))
    assert not unsupported.gain
    assert unsupported.text.startswith("No gain is claimed")
    assert "adjusted p = 0.25" in unsupported.text
    assert judge(make_comparison(ci95=(0.1, 0.2), p_adjusted=0.01)).gain
    assert judge(make_comparison(ci95=(0.1, 0.2), p_adjusted=None)).gain  # nothing was tested that could object


def test_the_scope_is_told_in_plain_words(make_comparison: Make) -> None:
    within = judge(make_comparison(n_cases=8)).scope
    assert within == "One subject was tested: the interval is about 8 cases of it and 2 seeds, not about other people."
    people = judge(make_comparison(scope="subjects", n_subjects=12)).scope
    assert people == "The interval is about 12 test subjects and 2 seeds."


def verdicts(scores: dict[str, Any], **changes: float) -> list[str]:
    return [target.verdict for target in localization_targets(scores, ReportConfig(**changes))]


def test_targets_that_are_met_say_so_and_others_say_by_how_much(make_localization: Make) -> None:
    assert verdicts(make_localization(error=24, wrong=50, recall=0.25)) == ["met", "met", "met"]
    assert verdicts(make_localization(error=33.4, wrong=40, recall=0.08)) == [
        "missed by 3.4 mm",
        "missed by 8.4 mm",
        "missed by 2.0 percentage points",
    ]
    assert verdicts(make_localization(error=30, wrong=45, recall=0.1)) == ["met", "met", "met"]


def test_a_target_that_guessing_reaches_is_not_met_by_reaching_it(make_localization: Make) -> None:
    few = make_localization(recall=0.3)
    few["volume"]["gallery"] = 4.0
    assert verdicts(few)[2].replace("\u202f", " ") == "no test: chance is 25.0 %"
    assert [target.met for target in localization_targets(few, ReportConfig())] == [True, True, False]


def test_a_target_that_is_missed_by_a_hair_is_missed(make_localization: Make) -> None:
    assert verdicts(make_localization(error=30.01))[0] == "missed by less than 0.1 mm"


def test_targets_are_settings(make_localization: Make) -> None:
    assert verdicts(make_localization(error=24), target_error_mm=20)[0] == "missed by 4.0 mm"


def test_being_worse_than_the_wrong_volume_is_called_worse(make_localization: Make) -> None:
    target = localization_targets(make_localization(error=50, wrong=44), ReportConfig())[1]
    assert (target.value, target.verdict) == ("6.0 mm worse", "missed by 21.0 mm")
