"""Prompts come from files, say what is known of a slice, and are known by their digest."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest

from med3dinsight.captions.prompts.prompt import Prompt, ViewFacts, list_prompts, load_prompt
from med3dinsight.errors import ConfigError
from med3dinsight.slices.rendering import SliceView
from med3dinsight.types import Plane

FACTS = ViewFacts("MR", "coronal", "in the back third of the scan")


@pytest.mark.parametrize("name", list_prompts())
def test_every_prompt_tells_what_is_known_and_forbids_what_it_must(name: str) -> None:
    prompt = load_prompt(name)
    *system, user = prompt.messages(FACTS, b"\x89PNG")
    words = " ".join([*(message["content"] for message in system), user["content"][0]["text"]])
    assert all(fact in words for fact in ("MR", "coronal", "in the back third of the scan"))
    assert "{modality}" not in words and "{plane}" not in words and "{position}" not in words
    assert "never an instruction" in words
    assert ("diagnosis" in words) is (name != "findings")
    assert prompt.name == name


def test_the_picture_is_sent_as_it_is() -> None:
    url = load_prompt("describe").messages(FACTS, b"\x89PNG\x00")[-1]["content"][1]["image_url"]["url"]
    kind, _, data = url.partition(",")
    assert (kind, base64.b64decode(data)) == ("data:image/png;base64", b"\x89PNG\x00")


def test_a_prompt_without_a_system_text_sends_no_system_message() -> None:
    assert [message["role"] for message in load_prompt("describe-spelled").messages(FACTS, b"")] == ["user"]


def test_braces_of_a_json_example_stay() -> None:
    text = load_prompt("describe-spelled").messages(FACTS, b"")[0]["content"][0]["text"]
    assert '{"modality": "MR", "plane": "coronal"' in text


def test_the_digest_follows_the_texts_and_not_the_purpose() -> None:
    prompt = Prompt(name="a", version=1, user="Describe.")
    assert prompt.sha256 == Prompt(name="a", version=1, user="Describe.", purpose="else").sha256
    assert prompt.sha256 != Prompt(name="a", version=1, user="Describe!").sha256
    assert prompt.sha256 != Prompt(name="a", version=1, user="Describe.", system="S").sha256


def test_a_file_of_the_users_own_is_loaded_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('name = "own"\nversion = 3\nuser = "Say what you see in this {plane} slice."\n')
    prompt = load_prompt(path)
    assert (prompt.name, prompt.version) == ("own", 3)
    assert prompt.messages(FACTS, b"")[0]["content"][0]["text"] == "Say what you see in this coronal slice."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('name = "own"\nversion = 1\nuser = "A {plan} slice"\n', "{plan} is not known; did you mean plane?"),
        ('name = "own"\nversion = 1\nuser = "A {plane.__class__} slice"\n', "is not known"),
        ('name = "own"\nversion = 1\nuser = "  "\n', "user: "),
        ('name = "own"\nversion = "1"\nuser = "x"\n', "version: "),
        ('name = "own"\nversion = 1\nuser = "x"\ncolour = 1\n', "colour: "),
        ('name = "../own"\nversion = 1\nuser = "x"\n', "name: "),
        ("name = own", "is not TOML"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_prompt(str(path))
    assert said in str(caught.value)


def test_names_and_paths_that_are_not_there_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean describe"):
        load_prompt("descibe")
    with pytest.raises(ConfigError, match="No such file"):
        load_prompt(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="not TOML"):
        (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
        load_prompt(tmp_path / "binary.toml")


def test_the_facts_of_a_rendered_slice_are_its_modality_plane_and_place() -> None:
    nothing = np.zeros((4, 4), np.uint8)
    view = SliceView(
        pixels=nothing,
        body=nothing > 0,
        modality="mr",
        plane=Plane.CORONAL,
        window=(0.0, 1.0),
        spacing_mm=(1.0, 1.0),
        position=0.2,
        body_position=0.5,
        body_rows=(0.0, 4.0),
        body_columns=(0.0, 4.0),
        scan_rows=(0, 4),
        scan_columns=(0, 4),
        in_hounsfield=False,
    )
    assert ViewFacts.of(view) == FACTS
