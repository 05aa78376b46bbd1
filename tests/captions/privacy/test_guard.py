"""Slices leave the machine only where the user and a policy say so, and never those of sets that forbid it."""

from __future__ import annotations

import datetime

import pytest

from med3dinsight.captions.privacy.forbidden import forbidding_terms
from med3dinsight.captions.privacy.guard import check_may_send
from med3dinsight.datasets.public import DATASETS
from med3dinsight.errors import PrivacyError

REMOTE = "https://api.example.com/v1"
TODAY = datetime.date(2026, 6, 1)
FORBIDDEN = [name for name, layout in DATASETS.items() if layout.facts.third_parties == "forbidden"]


def allowed(cases, path, url=REMOTE, **given):
    return check_may_send(cases, url, allow_remote=True, policy=path, today=TODAY, **given)


def test_a_model_on_this_machine_needs_nobodys_word(case):
    assert not check_may_send([case(origin="CT-RATE")], "http://127.0.0.1:8000/v1", model="llava").remote


def test_elsewhere_needs_both_the_users_word_and_a_policy(case, policy):
    with pytest.raises(PrivacyError, match="not this machine"):
        check_may_send([case()], REMOTE, policy=policy())
    with pytest.raises(PrivacyError, match="no policy"):
        check_may_send([case()], REMOTE, allow_remote=True)
    permission = allowed([case()], policy())
    assert permission.remote and permission.policy.decided_by == "Dr. Example" and permission.policy_sha256


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"third_parties": '"forbidden"'}, "forbids"),
        ({"data_sets": '["Other study"]'}, "does not name 'Liver study'"),
        ({"endpoints": '["example.com"]'}, r"does not name api\.example\.com"),
        ({"date": "2026-06-02"}, "still to come"),
        ({"expires": "2026-05-31"}, "held until"),
        ({"data_sets": '["Liver study", "BraTS 2021"]'}, "BraTS"),
        ({"licence": '"CC BY-NC-ND 4.0"'}, "LiTS"),
    ],
)
def test_a_policy_that_does_not_fit_allows_nothing(case, policy, changed, told):
    with pytest.raises(PrivacyError, match=told):
        allowed([case()], policy(**changed))


def test_a_policy_holds_to_the_end_of_its_last_day(case, policy):
    assert allowed([case()], policy(expires="2026-06-01", date="2026-06-01")).remote


def test_every_case_must_be_covered(case, policy):
    with pytest.raises(PrivacyError, match="case b"):
        allowed([case(), case(id="b", origin="Another study")], policy())
    with pytest.raises(PrivacyError, match="case b names no data set"):
        allowed([case(), case(id="b", origin="")], policy())


def test_scans_without_a_data_set_are_named_by_their_folder(case, policy, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    written = policy(data_sets=None, folders=f'["{tmp_path}/mine"]')
    assert allowed([case(origin="", image=f"{tmp_path}/link/a.nii.gz")], written).remote
    for image in (f"{tmp_path}/mine2/a.nii.gz", f"{tmp_path}/mine/../b.nii.gz"):
        with pytest.raises(PrivacyError, match="lies in no folder"):
            allowed([case(origin="", image=image)], written)


def test_ten_thousand_cases_are_judged_at_once(case, policy):
    cases = [case(id=str(n), image=f"/data/liver/sub-{n}/ct/sub-{n}_ct.nii.gz") for n in range(10_000)]
    assert allowed(cases, policy()).remote


@pytest.mark.parametrize("name", FORBIDDEN)
def test_no_policy_opens_a_set_that_forbids_it(case, policy, name):
    facts = DATASETS[name].facts
    for changed in ({"origin": facts.title}, {"origin": name.upper()}, {"licence": facts.licence},
                    {"image": f"/data/{name}_2021/x.nii.gz"}):  # fmt: skip
        one = case(**changed)
        with pytest.raises(PrivacyError, match="forbid"):
            allowed([one], policy(data_sets=f'["{one.origin}"]'))


@pytest.mark.parametrize(
    "text", ["C T-Rate v2", "ctrate", "the BraTS2023 set", "LiTS17", "mimic-cxr", "MM-WHS", "mmwhs 2017", "BIMCV R"]
)
def test_names_are_known_in_other_spellings(case, text):
    assert forbidding_terms(case(origin=text))


@pytest.mark.parametrize("name", [name for name in DATASETS if name not in FORBIDDEN])
def test_other_sets_are_for_the_policy_to_decide(case, name):
    facts = DATASETS[name].facts
    assert not forbidding_terms(case(origin=facts.title, licence=facts.licence, image=f"/data/{name}/splits/x.nii.gz"))


def test_models_that_a_local_server_passes_on_are_elsewhere(case, policy):
    url = "http://localhost:11434/v1"
    with pytest.raises(PrivacyError, match=r"run by ollama\.com"):
        check_may_send([case()], url, model="qwen3-vl:235b-cloud")
    with pytest.raises(PrivacyError, match=r"does not name ollama\.com"):
        allowed([case()], policy(), url, model="qwen3-vl:235b-cloud")
    permission = allowed([case()], policy(endpoints='["ollama.com"]'), url, model="qwen3-vl:235b-cloud")
    assert (permission.remote, permission.run_by) == (True, "ollama.com")
