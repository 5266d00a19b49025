"""What a model is, to the bit: commits of the hub's branches, hashes of a folder's files."""

import shutil
from types import SimpleNamespace

import pytest
from tiny import save_model

import irtbench as ib
from irtbench.scoring.fleet import pins
from irtbench.scoring.fleet.fleets import Fleet, FleetModel
from irtbench.scoring.fleet.reading import load_fleet

ONE, TWO = "1" * 40, "2" * 40


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub that answers for lab/m, counts the questions, and can be cut off."""
    import huggingface_hub
    from huggingface_hub import constants

    state = SimpleNamespace(asked=[], there=True, cache=tmp_path)

    class Api:
        def list_repo_refs(self, id):
            state.asked.append(id)
            if not state.there:
                raise OSError("no route to host")
            ref = SimpleNamespace
            return SimpleNamespace(
                branches=[ref(name="main", target_commit=ONE), ref(name="step5", target_commit=TWO)],
                tags=[ref(name="v1", target_commit=TWO)],
            )

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    pins._hub_refs.cache_clear()
    yield state
    pins._hub_refs.cache_clear()


def fleet(*revisions, **more):
    return Fleet("f", tuple(FleetModel(r, "lab/m", r, **more) for r in revisions))


def test_branches_and_tags_become_commits_with_one_question(hub):
    found = pins.pinned(fleet("main", "step5", "v1", ONE))
    assert [m.commit for m in found] == [ONE, TWO, TWO, ONE]
    assert [m.pin for m in found] == [ONE, TWO, TWO, ONE]
    assert hub.asked == ["lab/m"]


def test_a_commit_of_the_fleet_is_not_asked_for(hub):
    assert pins.pinned(fleet("main", commit=TWO)).models[0].commit == TWO
    assert hub.asked == []


def test_without_a_connection_the_cache_answers(hub):
    hub.there = False
    refs = hub.cache / "models--lab--m" / "refs"
    refs.mkdir(parents=True)
    (refs / "main").write_text(TWO)
    assert pins.pinned(fleet("main")).models[0].commit == TWO
    with pytest.raises(ib.InputError, match="'step5' was found neither"):
        pins.pinned(fleet("step5"))


def test_offline_the_hub_is_not_asked(hub, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ib.InputError, match="neither on the Hugging Face hub nor in its cache"):
        pins.pinned(fleet("main"))
    assert hub.asked == []


def test_a_folder_is_what_its_files_are(tmp_path):
    save_model(tmp_path / "a", seed=0)
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    save_model(tmp_path / "b", seed=1)
    a, copy, b = (pins.identity(load_fleet(tmp_path / name).models[0]) for name in ("a", "copy", "b"))
    assert a == copy != b
    tokenizer = tmp_path / "copy" / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text() + " ")
    assert pins.identity(load_fleet(tmp_path / "copy").models[0]) != a
    (model,) = load_fleet(tmp_path / "b")
    shutil.rmtree(tmp_path / "b")
    with pytest.raises(ib.InputError, match="is gone"):
        pins.identity(model)
