"""The catalogue's folders."""

import pytest

from irtbench.catalogue import KINDS, catalogue_file, catalogue_folder, catalogue_names
from irtbench.errors import DataWarning, InputError
from irtbench.responses import read


@pytest.mark.parametrize("kind", KINDS)
def test_folders_lie_in_the_checkout(kind):
    assert catalogue_folder(kind).parts[-2:] == ("models", kind)


def test_an_unknown_kind_is_named():
    with pytest.raises(InputError, match="got 'people'"):
        catalogue_folder("people")


def test_entries_are_found_by_name():
    assert "seedlings/facts" in catalogue_names("questions")
    assert catalogue_file("questions", "seedlings/facts").name == "facts.jsonl"
    assert catalogue_file("questions", "seedlings") is None  # a folder is no entry
    assert catalogue_file("fleets", "../fleets/pythia") is None


def test_responses_are_read_by_name(tmp_path, monkeypatch):
    assert read("seedlings/choice_acc").metric.name == "acc"
    with pytest.raises(InputError, match="did you mean seedlings/choice_acc"):
        read("seedlings/choice_ac")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seedlings").mkdir()
    (tmp_path / "seedlings" / "choice_acc").write_text("model,q1,q2\na,1,0\nb,0,1\nc,1,1\n")
    with pytest.warns(DataWarning):  # few models
        assert read("seedlings/choice_acc").n_models == 3  # a file of one's own comes first
