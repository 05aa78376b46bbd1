"""The stage itself, watched at its socket; and scans that must stay, when a policy lets the others go."""

from __future__ import annotations

import json

import numpy as np
import pytest
from marked_scans import Markers, write_marked
from socket_recorder import ANSWER, recording
from tests.conftest import write_dicom_series
from wire_search import bare_pixels, found, pictures

from med3dinsight.captions.asking.chat import ChatReply
from med3dinsight.captions.asking.requests import picture_of
from med3dinsight.captions.config import CaptionConfig
from med3dinsight.captions.forecast import forecast
from med3dinsight.captions.models.registry import CHAT_MODELS
from med3dinsight.captions.planning import plan
from med3dinsight.captions.run import run
from med3dinsight.config import build
from med3dinsight.errors import PrivacyError
from med3dinsight.preparing import run as prepare
from med3dinsight.preparing.config import PrepareConfig
from med3dinsight.slices.rendering import SliceRenderer
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.caption_store import CaptionStore
from med3dinsight.workspace.voxel_manifest import MANIFEST
from med3dinsight.workspace.voxel_store import VoxelStore

REMOTE = "https://api.example.com/v1"
FEW = {"captioner": "openai", "model": "m", "picture_size": 64, "crop_size": 16, "crops_per_volume": 1}


def settings(**changed):
    return build(CaptionConfig, {**FEW, "positions_per_plane": 2, **changed}, "caption")


@pytest.fixture
def marked(tmp_path):
    """A workspace of three marked scans, a DICOM series, NIfTI and NRRD, and all that must stay in it."""
    markers = Markers()
    source = write_marked(tmp_path / markers.text("Source"), markers, write_dicom_series)
    work = Workspace(tmp_path / markers.text("Work"), create=True)
    prepare(PrepareConfig(source=str(source), protocol="native", workers=1), work)
    return work, [*markers.made, str(tmp_path), tmp_path.name]


def test_no_word_of_the_scans_crosses_the_socket_of_the_stage(marked):
    work, words = marked
    with recording() as recorder:
        result = run(settings(base_url=recorder.url), work)
    assert (result.captioned, result.held_back) == (18, 0) and len(recorder.requests) == result.requests_sent > 9
    with CaptionStore(work.captions) as ledger:
        words += list(ledger.texts("openai"))
    assert found(words, recorder.everything) == []
    for _, body in recorder.requests:
        (picture,) = pictures(body)
        assert bare_pixels(picture).shape == (64, 64)
    kept = (work.asked / "audit.jsonl").read_bytes()
    assert found(words, kept) == []


class Elsewhere:
    """Stands for a model elsewhere: keeps the pictures that it is shown."""

    def __init__(self):
        self.shown = []

    async def complete(self, body):
        self.shown += pictures(json.dumps(body).encode())
        return ChatReply(json.dumps(ANSWER), 1, 1, "m", "stop")


@pytest.fixture
def elsewhere(monkeypatch):
    model = Elsewhere()
    monkeypatch.setitem(CHAT_MODELS, "openai", lambda settings: model)
    return model


@pytest.fixture
def study(tmp_path, policy):
    """Three DICOM scans of one study, of which one says that it has writing in it and one has; a policy for all."""
    rng = np.random.default_rng(0)
    for number, name in enumerate(("clean", "says", "shows")):
        voxels = rng.integers(-900, -600, (40, 40, 20)).astype(np.int16)
        if name == "shows":
            voxels[10:34:3, 10:18] = 1000
        changes = {"BurnedInAnnotation": "YES" if name == "says" else ("NO", None)[number // 2]}
        changes = {key: value for key, value in changes.items() if value}
        write_dicom_series(
            tmp_path / "study" / name, voxels, changes=dict.fromkeys(range(20), changes), spacing=(1, 1, 1)
        )
    work = Workspace(tmp_path / "work", create=True)
    prepare(PrepareConfig(source=str(tmp_path / "study"), protocol="native", workers=1), work)
    path = policy(data_sets=None, folders=f'["{tmp_path}/study"]')
    return work, {"base_url": REMOTE, "allow_remote": True, "policy": str(path)}


def test_scans_with_writing_in_them_stay_and_the_others_go(study, elsewhere):
    work, remote = study
    result = run(settings(**remote), work)
    assert (result.captioned, result.held_back, result.requests_sent) == (6, 12, len(elsewhere.shown))
    with CaptionStore(work.captions) as ledger:
        assert {key.split(":")[0] for key in ledger.texts("openai")} == {"clean"}
    store = VoxelStore(work.prepared)
    renderer, slices = SliceRenderer(store), plan(settings(**remote), store, whole=False)
    assert set(elsewhere.shown) == {picture_of(renderer.view(ref), 64) for ref in slices if ref.crop.case == "clean"}
    assert "1 DICOM scan" in result.notes[0]


def test_on_this_machine_they_are_all_shown(study):
    work, _ = study
    with recording() as recorder:
        result = run(settings(base_url=recorder.url), work)
    assert (result.captioned, result.held_back, result.notes) == (18, 0, ())


def test_nothing_is_asked_where_the_policy_does_not_cover_a_scan(study, elsewhere):
    work, remote = study
    manifest = work.prepared / MANIFEST
    manifest.write_text(manifest.read_text().replace('"origin": ""', '"origin": "CT-RATE"', 1))
    for ask in (run, forecast):
        with pytest.raises(PrivacyError, match="CT-RATE"):
            ask(settings(**remote), work)
    assert elsewhere.shown == []


def test_a_forecast_tells_what_to_look_at_and_asks_nothing(study, elsewhere):
    work, remote = study
    told = forecast(settings(**remote), work)
    assert told["requests"] == 18 and "1 DICOM scan" in told["notes"][0]
    assert elsewhere.shown == [] and not (work.asked / "audit.jsonl").exists()
