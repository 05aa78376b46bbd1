"""The policy file: every mistake in it is told, none is guessed at."""

from __future__ import annotations

import datetime
import hashlib

import pytest

from med3dinsight.captions.privacy.policy import read_policy
from med3dinsight.errors import ConfigError


def test_a_policy_is_read_with_the_hash_of_its_file(policy):
    path = policy(expires="2027-03-01", folders='["/data/x"]')
    read, sha256 = read_policy(path)
    assert read.data_sets == ("Liver study",) and read.folders == ("/data/x",)
    assert (read.date, read.expires) == (datetime.date(2026, 3, 1), datetime.date(2027, 3, 1))
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("key", ["licence", "third_parties", "decided_by", "date", "endpoints"])
def test_every_key_is_needed(policy, key):
    with pytest.raises(ConfigError, match=rf"policy\.{key} is missing"):
        read_policy(policy(**{key: None}))


def test_an_unknown_key_is_told_with_the_nearest_known_one(policy):
    with pytest.raises(ConfigError, match="did you mean decided_by"):
        read_policy(policy(decided_bye='"x"'))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"data_sets": None}, "no data set and no folder is named"),
        ({"data_sets": '[" "]'}, "a name is empty"),
        ({"folders": '["data"]'}, "full path"),
        ({"folders": '["/"]'}, "full path"),
        ({"licence": '"  "'}, "at least 1"),
        ({"decided_by": '""'}, "at least 1"),
        ({"third_parties": '"yes"'}, "allowed"),
        ({"date": "2026"}, "date"),
        ({"date": '"soon"'}, "date"),
        ({"endpoints": "[]"}, "at least 1"),
        ({"endpoints": '["*"]'}, "plain host"),
        ({"endpoints": '["https://api.example.com"]'}, "plain"),
        ({"endpoints": '["api.example.com:443"]'}, "host names alone"),
        ({"endpoints": '["api.example.com/v1"]'}, "host names alone"),
    ],
)
def test_a_value_that_is_not_allowed_is_told(policy, changed, told):
    with pytest.raises(ConfigError, match=told):
        read_policy(policy(**changed))


def test_a_file_that_is_no_policy_is_a_users_error(tmp_path):
    for content in (b"\xff\xfe", b"a = ", b"x" * (1 << 20) + b"x"):
        (tmp_path / "policy.toml").write_bytes(content)
        with pytest.raises(ConfigError):
            read_policy(tmp_path / "policy.toml")
    for path in (tmp_path, tmp_path / "missing.toml"):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_policy(path)
