from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from med3dinsight.encoders import create_encoder, list_encoders
from med3dinsight.encoders.registry import check_name
from med3dinsight.errors import ConfigError
from med3dinsight.networks import create_network, list_networks

CODE = """
from med3dinsight.encoders import create_encoder
from med3dinsight.errors import ConfigError


def mine(image_size, in_channels):
    if image_size % 8:
        raise ConfigError(f"{image_size} is no size of mine", "use a multiple of 8")
    return create_encoder("conv_tiny", in_channels=in_channels)


def fails(image_size, in_channels):
    raise KeyError("weights")


def no_module(image_size, in_channels):
    return 3


def no_encoder(image_size, in_channels):
    import torch

    return torch.nn.Conv3d(in_channels, 2, 1)
"""
POINTS = """[med3dinsight.encoders]
mine = my_encoders:mine
gone = my_encoders:gone
not_there = no_such_package:build
fails = my_encoders:fails
no_module = my_encoders:no_module
no_encoder = my_encoders:no_encoder
vit = my_encoders:mine
twice = my_encoders:mine
"""


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two installed packages that bring encoders, good and bad."""
    install(tmp_path, "my-encoders", POINTS)
    install(tmp_path, "their-encoders", "[med3dinsight.encoders]\ntwice = my_encoders:mine\n")
    (tmp_path / "my_encoders.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_encoders", raising=False)
    return tmp_path


def install(folder: Path, name: str, points: str) -> None:
    info = folder / f"{name.replace('-', '_')}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(points)


def test_a_plug_in_is_built_by_its_name_and_gets_heads_of_ours(packages: Path) -> None:
    check_name("mine")
    volume = torch.rand(1, 1, 16, 16, 16)
    assert create_encoder("mine", image_size=16)(volume).tokens.shape == (1, 8, 128)
    assert create_network("mine", 3, image_size=16)(volume).shape == (1, 3, 16, 16, 16)
    assert create_network("mine", 3, task="classification", image_size=16)(volume).shape == (1, 3)


def test_all_are_listed_and_none_is_imported_for_it(packages: Path) -> None:
    rows = {row["name"]: row for row in list_encoders() if row["kind"] == "plug-in"}
    assert set(rows) == {"mine", "gone", "not_there", "fails", "no_module", "no_encoder", "vit", "twice"}
    assert rows["mine"]["source"] == "package my-encoders 1.2"
    assert rows["vit"]["source"].endswith("not used: the name is a built-in encoder's")
    assert rows["twice"]["source"].endswith("not used: two packages give this name")
    tasks = {row["task"] for row in list_networks() if row["name"] == "mine"}
    assert tasks == {"segmentation", "classification"}
    assert "my_encoders" not in sys.modules


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gone", "the encoder plug-in gone of package my-encoders 1.2 is broken: AttributeError"),
        ("not_there", "plug-in not_there of package my-encoders 1.2 is broken: ModuleNotFoundError"),
        ("fails", "plug-in fails of package my-encoders 1.2 is broken: KeyError: 'weights'"),
        ("no_module", "plug-in no_module of package my-encoders 1.2 builds a int"),
        ("no_encoder", "plug-in no_encoder of package my-encoders 1.2: Conv3d is no encoder"),
        ("twice", "two packages bring an encoder plug-in called twice"),
    ],
)
def test_a_broken_one_is_named_with_its_package(packages: Path, name: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        create_encoder(name, image_size=32)


def test_a_plug_in_speaks_our_errors_itself(packages: Path) -> None:
    with pytest.raises(ConfigError, match="20 is no size of mine") as caught:
        create_encoder("mine", image_size=20)
    assert caught.value.hint == "use a multiple of 8"


def test_a_built_in_name_stays_the_built_in_encoders(packages: Path) -> None:
    assert type(create_encoder("vit_tiny", image_size=16)).__name__ == "ViTEncoder"
    with torch.device("meta"):
        assert type(create_encoder("vit")).__name__ == "ViTEncoder"


def test_a_name_near_a_plug_in_is_answered_with_it(packages: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        create_encoder("mined")
    assert caught.value.hint == "did you mean mine?"


def test_listing_plug_ins_needs_no_torch(packages: Path) -> None:
    code = (
        "import json, sys; sys.path[:0] = sys.argv[1:]; from med3dinsight.encoders import list_encoders;"
        "print(json.dumps(['torch' in sys.modules, [row['name'] for row in list_encoders()]]))"
    )
    source = Path(__file__).parents[2] / "src"
    done = subprocess.run([sys.executable, "-c", code, str(source), str(packages)], capture_output=True, check=True)
    has_torch, names = json.loads(done.stdout)
    assert not has_torch
    assert "mine" in names
