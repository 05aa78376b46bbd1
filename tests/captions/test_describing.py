"""Captioners that look at slices: plug-ins, several processes, a sample first."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from med3dinsight.captions import plugins
from med3dinsight.captions.config import CaptionConfig
from med3dinsight.captions.registry import list_captioners
from med3dinsight.captions.run import run
from med3dinsight.config import build
from med3dinsight.errors import ConfigError, Med3DInsightError
from med3dinsight.slices.rendering import SliceView
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.caption_store import CaptionStore

Prepared = Callable[..., Workspace]
SMALL: dict[str, Any] = {"crop_size": 24, "crops_per_volume": 4, "positions_per_plane": 8}


class Brightness:
    """A captioner of somebody else's."""

    def describe(self, view: SliceView) -> str:
        return f"{view.plane.name}, mean {view.pixels.mean():.2f}"


class Careless:
    """Writes markup, about a plane that it takes for granted."""

    def describe(self, view: SliceView) -> str:
        return "<p>An axial slice."


class Broken:
    """Fails at a slice."""

    def describe(self, view: SliceView) -> str:
        raise ZeroDivisionError("by nothing")


def no_captioner() -> int:
    return 3


TARGETS = {"brightness": "Brightness", "careless": "Careless", "broken": "Broken", "none": "no_captioner"}


@pytest.fixture
def workspace(prepared: Prepared, phantom: NDArray[np.float32]) -> Workspace:
    voxels = np.round(np.clip((phantom + 1000) / 2000, 0, 1) * 255).astype(np.uint8)
    return prepared({"a": voxels, "b": np.ascontiguousarray(voxels[::-1, :64])})


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint(name, f"{__name__}:{target}", plugins.GROUP) for name, target in TARGETS.items()]
    points.append(EntryPoint("gone", "no_such_module:thing", plugins.GROUP))
    points.append(EntryPoint("tissue", f"{__name__}:Brightness", plugins.GROUP))
    monkeypatch.setattr(EntryPoint, "load", _target)
    monkeypatch.setattr(plugins, "entry_points", lambda group: points if group == plugins.GROUP else [])


def _target(point: EntryPoint) -> Any:
    if point.module != __name__:
        raise ModuleNotFoundError(f"No module named {point.module!r}")
    return globals()[point.attr]


def texts_of(workspace: Workspace, name: str) -> dict[str, str]:
    with CaptionStore(workspace.captions) as ledger:
        return ledger.texts(name)


def test_texts_of_a_plug_in_are_flagged(workspace: Workspace, installed: None) -> None:
    run(build(CaptionConfig, {"captioner": "careless", **SMALL}, "caption"), workspace)
    with CaptionStore(workspace.captions) as ledger:
        flags = {(ref.plane.name, noticed) for ref, _, noticed in ledger.written("careless")}
    both = ("markup", "wrong-plane")
    assert flags == {("AXIAL", ("markup",)), ("CORONAL", both), ("SAGITTAL", both)}


def test_a_plug_in_describes_slices_by_its_name(workspace: Workspace, installed: None) -> None:
    result = run(build(CaptionConfig, {"captioner": "brightness", **SMALL}, "caption"), workspace)
    texts = texts_of(workspace, "brightness")
    assert result.captioned == len(texts) == 2 * 4 * 3 * 8
    assert all(", mean " in text for text in texts.values())
    kinds = {row["name"]: row["kind"] for row in list_captioners()}
    assert kinds["brightness"] == "plug-in"
    assert kinds["tissue"] != "plug-in", "a built-in captioner's name stays its own"


@pytest.mark.parametrize(("name", "what"), [("gone", "No module named"), ("none", "no method `describe`")])
def test_a_broken_plug_in_names_itself(workspace: Workspace, installed: None, name: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        run(CaptionConfig(captioner=name, **SMALL), workspace)


def test_a_captioner_that_fails_at_a_slice_is_told_as_a_bug(workspace: Workspace, installed: None) -> None:
    with pytest.raises(Med3DInsightError, match="ZeroDivisionError: by nothing") as caught:
        run(CaptionConfig(captioner="broken", **SMALL), workspace)
    assert caught.value.exit_code == 1


def check_alone_and_by_many(workspace: Workspace, engine: str) -> None:
    run(CaptionConfig(captioner="tissue", **SMALL), workspace)
    run(CaptionConfig(captioner="tissue", name="many", engine=engine, workers=2, **SMALL), workspace)  # type: ignore[arg-type]
    assert texts_of(workspace, "many") == texts_of(workspace, "tissue")


def test_texts_do_not_depend_on_how_many_processes_work(workspace: Workspace) -> None:
    check_alone_and_by_many(workspace, "local")


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_texts_from_a_ray_cluster_are_the_same(workspace: Workspace) -> None:
    check_alone_and_by_many(workspace, "ray")


def test_a_sample_is_spread_over_all_slices_and_the_rest_follows(workspace: Workspace) -> None:
    result = run(CaptionConfig(captioner="tissue", sample=12, **SMALL), workspace)
    assert (result.captioned, result.left) == (12, 2 * 4 * 3 * 8 - 12)
    sampled = texts_of(workspace, "tissue")
    assert {key[0] for key in sampled} == {"a", "b"}
    assert {key.split(":")[2] for key in sampled} == {"0", "1", "2"}
    whole = run(CaptionConfig(captioner="tissue", **SMALL), workspace)
    assert (whole.done_before, whole.left, whole.captioned) == (False, 0, 2 * 4 * 3 * 8)
    assert sampled.items() <= texts_of(workspace, "tissue").items()


def test_shuffled_texts_skip_slices_that_have_none(workspace: Workspace, tmp_path: Any) -> None:
    run(CaptionConfig(captioner="tissue", **SMALL), workspace)
    texts = texts_of(workspace, "tissue")
    some = list(texts)[::2]
    table = tmp_path / "some.csv"
    table.write_text("key,text\n" + "".join(f'"{key}","{number}"\n' for number, key in enumerate(some)))
    run(CaptionConfig(captioner="imported", existing=table, **SMALL), workspace)
    run(CaptionConfig(captioner="shuffled", shuffle_of="imported", **SMALL), workspace)
    dealt, own = texts_of(workspace, "shuffled"), texts_of(workspace, "imported")
    assert dealt.keys() == own.keys() == set(some)
    assert all(dealt[key] != own[key] for key in some)


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"captioner": "tisue"}, "did you mean tissue"),
        ({"captioner": "tissue", "name": "a/b"}, "letters, digits"),
        ({"captioner": "tissue", "name": "_shards"}, "letters, digits"),
        ({"captioner": "tissue", "name": "answers.sqlite-wal"}, "name of a file"),
        ({"captioner": "tissue", "name": "template"}, "another captioner"),
        ({"captioner": "tissue", "existing": "a.csv"}, "imported"),
        ({"captioner": "shuffled", "shuffle_of": "shuffled"}, "dealt out already"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(values: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        build(CaptionConfig, values, "caption")
