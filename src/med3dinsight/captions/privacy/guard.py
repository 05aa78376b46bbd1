"""The guard: says before anything is sent whether slices of these cases may go to this endpoint."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import PrivacyError
from ...records import Case
from .address import Address, check_localhost, parse_address
from .forbidden import forbidding_terms, licensed_as, named_in
from .holding_back import reason_by_header, reason_by_pixels, told_of
from .policy import Policy, read_policy

#: Ollama on this machine passes requests for models of these names on to its makers' cloud.
_PASSED_ON = re.compile(r"[-:]cloud$")
_CLOUD_HOST = "ollama.com"
_PAGE = "see docs/how-to/caption-with-an-api.md"


@dataclass(frozen=True)
class Permission:
    """That slices may be sent, and on whose word.

    Attributes:
        address: The endpoint.
        remote: Whether slices leave this machine.
        policy: The policy that allows it; None where nothing leaves.
        policy_sha256: Hash of the policy's file; empty where there is none.
        run_by: Host of whoever runs the model: not always that of the address, which may pass requests on.
        notes: What to look at before anything is sent, a sentence each.
    """

    address: Address
    remote: bool
    policy: Policy | None = None
    policy_sha256: str = ""
    run_by: str = ""
    notes: tuple[str, ...] = ()

    def reason_to_hold(self, case: Case, volume: NDArray[np.uint8]) -> str:
        """Says why one case must stay on this machine all the same; empty where its slices may be sent.

        Args:
            case: The case.
            volume: Its prepared voxels, ``(x, y, z)``; looked at where slices would leave the machine.
        """
        return (reason_by_header(case) or reason_by_pixels(volume)) if self.remote else ""


def check_may_send(
    cases: Sequence[Case],
    base_url: str,
    *,
    model: str = "",
    allow_remote: bool = False,
    policy: Path | str | None = None,
    today: date | None = None,
) -> Permission:
    """Says whether slices of some cases may go to an endpoint; nothing is sent to find out.

    An endpoint on this machine is always allowed. Any other needs https, ``allow_remote``, and a policy that names
    every case's data set (or the folder of it) and the host. Data sets known to forbid services of others are
    refused whatever a policy says. Single cases are held back later, see :meth:`Permission.reason_to_hold`.

    Args:
        cases: The cases whose slices would be sent.
        base_url: Of the endpoint.
        model: Its model: some that are asked for on this machine are run elsewhere.
        allow_remote: The user's word that slices may leave the machine.
        policy: The policy file, see :mod:`.policy`.
        today: The day to judge by; None is today.

    Raises:
        PrivacyError: They may not, or the address could be read in two ways.
        ConfigError: The policy cannot be read.

    Example:
        >>> check_may_send([], "http://127.0.0.1:8000/v1").remote
        False
    """
    address = parse_address(base_url)
    if address.host == "localhost":
        check_localhost()
    passed_on = address.loopback and _PASSED_ON.search(model.strip().lower()) is not None
    if address.loopback and not passed_on:
        return Permission(address, remote=False, run_by=address.host)
    host = _CLOUD_HOST if passed_on else address.host
    why = f"{model} at {address.host} is run by {host}" if passed_on else f"{host} is not this machine"
    if not allow_remote:
        hint = f"use a model on this machine, or give --allow-remote and --policy FILE; {_PAGE}"
        raise PrivacyError(f"{why}: slices would leave it", hint)
    _refuse_forbidden(cases)
    if not policy:
        raise PrivacyError(f"{why}, and no policy says that these data may go there", f"give --policy FILE; {_PAGE}")
    decided, sha256 = read_policy(policy)
    _check_policy(decided, host, today or date.today())
    _check_covered(cases, decided)
    return Permission(address, True, decided, sha256, host, told_of(cases))


def _refuse_forbidden(cases: Sequence[Case]) -> None:
    for case in cases:
        if terms := forbidding_terms(case):
            raise PrivacyError(
                f"case {case.id} is of {terms}, whose terms forbid to show it to services of others",
                "use a model on this machine; where it only has that name, prepare it from a folder of another name",
            )


def _check_policy(policy: Policy, host: str, today: date) -> None:
    if policy.third_parties == "forbidden":
        raise PrivacyError("the policy forbids services of others", "use a model on this machine")
    if terms := named_in([*policy.data_sets, policy.licence]) or licensed_as(policy.licence):
        raise PrivacyError(f"the policy is for {terms}, whose terms forbid it", "use a model on this machine")
    if policy.date > today:
        raise PrivacyError(f"the policy was decided on {policy.date}, which is still to come", "check its date")
    if policy.expires is not None and policy.expires < today:
        raise PrivacyError(f"the policy held until {policy.expires}", "have it decided anew")
    if host not in policy.endpoints:
        known = ", ".join(policy.endpoints)
        raise PrivacyError(f"the policy does not name {host}, only {known}", "add it where it was decided on")


def _check_covered(cases: Sequence[Case], policy: Policy) -> None:
    names = {_same(name) for name in policy.data_sets}
    folders = tuple(os.path.realpath(folder) + os.sep for folder in policy.folders)
    for case in cases:
        if case.origin.strip():
            if _same(case.origin) not in names:
                raise PrivacyError(
                    f"the policy does not name {case.origin!r}, the data set of case {case.id}",
                    "add it to data_sets where it was decided on, as it is written in origin",
                )
        elif not folders or not os.path.realpath(case.image).startswith(folders):
            raise PrivacyError(
                f"case {case.id} names no data set and lies in no folder of the policy",
                "add its source folder to folders where it was decided on",
            )


def _same(name: str) -> str:
    return " ".join(name.casefold().split())
