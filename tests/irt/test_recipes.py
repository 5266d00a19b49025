"""Recipes: the files in models/recipes say what the code does."""

import pytest

import irtbench as ib
from irtbench.catalogue import catalogue_folder
from irtbench.irt.recipes import RECIPES, Population, read_recipe


@pytest.mark.parametrize("irt", RECIPES)
def test_file_equals_code(irt):
    assert read_recipe(catalogue_folder("recipes") / f"{irt}.toml") == RECIPES[irt]


def test_every_file_has_its_default():
    assert {p.stem for p in catalogue_folder("recipes").glob("*.toml")} == set(RECIPES)


@pytest.mark.parametrize(
    "text",
    [
        "irt = '2pl'\n[priors.slope]\nmean = 0",
        "irt = '9pl'",
        "[steps]\nwindow = 1",
        "irt = ",
        "irt = '2pl'\nsped = 1",
    ],
)
def test_bad_recipes_are_refused(tmp_path, text):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(ib.InputError, match=r"recipe\.toml"):
        read_recipe(path)


def test_a_recipe_of_ones_own(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text("irt = '1pl'\n[priors.difficulty]\nmean = 0\nmean_sd = 1\nspread = 2\nspread_sd = 0\n")
    recipe = read_recipe(path)
    assert recipe.priors.difficulty == Population(0, 1, 2, 0)
    assert ib.fit(ib.simulate(20, 10, seed=0).responses, irt=recipe).bank.irt == "1pl"


def test_impossible_priors_are_refused():
    with pytest.raises(ib.InputError, match="spread must be positive"):
        Population(0, 1, 0, 1)
