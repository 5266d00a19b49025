"""Fleets: what the TOML says is what is scored, the shipped ones are pinned, mistakes are named."""

import pytest

import irtbench as ib
from irtbench.scoring.fleet.reading import load_fleet


@pytest.fixture
def fleet_of(tmp_path):
    def read(text):
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return load_fleet(path)

    return read


@pytest.fixture
def model_folder(tmp_path):
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


def test_one_table_one_model(fleet_of):
    (model,) = fleet_of(
        '[[models]]\nid = "lab/m"\nrevision = "v1"\nfamily = "m"\nseed = 3\nstep = 10\ntokens = 20\n'
        'params = 30\nlicence = "mit"\ndtype = "bfloat16"\n'
    )
    assert (model.name, model.id, model.revision, model.pin) == ("m@v1", "lab/m", "v1", "v1")
    assert (model.family, model.seed, model.step, model.tokens, model.params) == ("m", 3, 10, 20, 30)
    assert (model.licence, model.dtype, model.commit) == ("mit", "bfloat16", None)


def test_lists_stand_for_all_combinations(fleet_of):
    fleet = fleet_of(
        '[defaults]\nlicence = "mit"\ntokens_per_step = 5\n'
        '[[models]]\nid = "lab/m-seed{seed}"\nrevision = "step{step}"\nseeds = [1, 2]\n'
        "steps = [0, { from = 10, to = 30, by = 10 }]\n"
    )
    assert [m.name for m in fleet] == [f"m-seed{s}@step{t}" for s in (1, 2) for t in (0, 10, 20, 30)]
    assert {m.id for m in fleet} == {"lab/m-seed1", "lab/m-seed2"}
    assert [m.tokens for m in fleet][:4] == [0, 50, 100, 150]
    assert {m.licence for m in fleet} == {"mit"}


def test_steps_and_tokens_are_parsed_from_revisions(fleet_of):
    commit = "0123456789abcdef0123456789abcdef01234567"
    one, other = fleet_of(
        "[defaults]\nparse = 'step(?P<step>\\d+)-tokens(?P<billions>\\d+)B'\n"
        '[[models]]\nid = "lab/m"\nrevisions = ["s1-step7-tokens2B", "s2-step8-tokens3B"]\n'
        f'commits = {{ s2-step8-tokens3B = "{commit}" }}\n'
    )
    assert (one.step, one.tokens, one.pin) == (7, 2 * 10**9, "s1-step7-tokens2B")
    assert (other.step, other.tokens, other.pin) == (8, 3 * 10**9, commit)


def test_folders_are_found_beside_the_file(fleet_of, model_folder):
    (model,) = fleet_of('[[models]]\nid = "tiny"\nname = "mine"\n')
    assert (model.name, model.id, model.is_folder) == ("mine", str(model_folder), True)


def test_a_folder_and_an_id_are_fleets_of_one(model_folder):
    (model,) = load_fleet(model_folder)
    assert (model.name, model.id, model.revision) == ("tiny", str(model_folder), None)
    (model,) = load_fleet("lab/m@step5")
    assert (model.name, model.id, model.revision) == ("m@step5", "lab/m", "step5")
    assert load_fleet("lab/m").models[0].revision == "main"


def test_only_keeps_what_meets_every_condition():
    fleet = load_fleet("polypythias").only(["family=pythia-14m", "step=0,143000"])
    assert len(fleet) == 20
    assert {(m.family, m.step) for m in fleet} == {("pythia-14m", 0), ("pythia-14m", 143000)}
    for condition in ("step=5", "colour=red", "step"):
        with pytest.raises(ib.InputError, match=condition):
            fleet.only([condition])


def test_the_table_is_that_of_a_response_matrix():
    fleet = load_fleet("pythia").only(["step=0,143000", "family=pythia-70m"])
    table = fleet.table()
    assert list(table.index) == ["pythia-70m@step0", "pythia-70m@step143000"]
    assert list(table["step"]) == [0, 143000]
    R = ib.ResponseMatrix([[0, 1], [1, 1]], table, ib.ResponseMatrix.of([[0, 1]]).items)
    assert list(R.models["tokens"]) == [0, 143000 * 2097152]


# layers, width, vocabulary: of the models' cards. Parameters of a GPT-NeoX with untied embeddings and biases
SHAPES = {
    "14m": (6, 128, 50304),
    "31m": (6, 256, 50304),
    "70m": (6, 512, 50304),
    "160m": (12, 768, 50304),
    "410m": (24, 1024, 50304),
    "1b": (16, 2048, 50304),
    "1.4b": (24, 2048, 50304),
    "2.8b": (32, 2560, 50304),
    "6.9b": (32, 4096, 50432),
    "12b": (36, 5120, 50688),
}


@pytest.mark.parametrize("name", ["polypythias", "pythia", "olmo2"])
def test_shipped_fleets_are_pinned_and_licensed(name):
    fleet = load_fleet(name)
    for model in fleet:
        assert model.licence == "apache-2.0"
        assert model.revision
        assert model.commit is not None or model.revision != "main"
        size = (model.family or "").removeprefix("pythia-")
        if size in SHAPES:
            layers, width, vocabulary = SHAPES[size]
            count = 2 * vocabulary * width + layers * (12 * width**2 + 13 * width) + 2 * width
            assert model.params == count


def test_polypythias_are_fifty_runs_of_154_checkpoints():
    table = load_fleet("polypythias").table()
    assert (table.groupby(["family", "seed"])["step"].nunique() == 154).all()
    assert table.groupby("family")["seed"].nunique().to_dict() == dict.fromkeys(
        [f"pythia-{size}" for size in ("14m", "31m", "70m", "160m", "410m")], 10
    )
    assert (table["id"].str.endswith("m") == (table["seed"] == 0)).all()
    assert table["tokens"].max() == 299_892_736_000  # of the card


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[models]]\nid = 3\n", "id must be a text"),
        ("[[models]]\nseed = 3\n", "has no id"),
        ('[[models]]\nid = "lab/m"\n', "pin it"),
        ('[[models]]\nid = "lab/m"\nrevison = "a"\n', "did you mean 'revision'"),
        ('[[models]]\nid = "lab/m"\nrevision = "{size}"\n', "no value for 'size'"),
        ('[[models]]\nid = "lab/m"\nrevision = "a"\nseed = true\n', "whole number"),
        ('[[models]]\nid = "lab/m"\nrevision = "a"\ncommit = "abc"\n', "40 hexadecimal"),
        ('[[models]]\nid = "lab/m"\nrevision = "a"\ndtype = "int8"\n', "dtype must be"),
        ('[[models]]\nid = "lab/m"\nrevision = "a"\nparse = "step(?P<step>.)"\n', "does not fit"),
        ('[[models]]\nid = "lab/m"\nrevision = "a{step}"\nsteps = [{ from = 1 }]\n', "a range is written"),
        ('[[models]]\nid = "lab/m"\nrevisions = ["a", "a"]\n', "two models are named"),
        ('[[models]]\nid = "./gone"\n', "no such model folder"),
        ("models = []\n", r"no \[\[models\]\]"),
        ("fleet = 1\n", "unknown key 'fleet'"),
        ("[[models\n", "not valid TOML"),
    ],
)
def test_mistakes_are_named_with_the_file(fleet_of, text, message):
    with pytest.raises(ib.InputError, match=message) as caught:
        fleet_of(text)
    assert "mine" in str(caught.value)


def test_what_is_no_fleet_is_refused(tmp_path):
    (tmp_path / "file.csv").write_text("x")
    for wrong, message in (
        ("polypythia", "did you mean 'polypythias'"),
        (str(tmp_path / "gone" / "model"), "no such fleet"),
        ("./gone", "no such fleet"),
        (tmp_path / "file.csv", "not a fleet"),
        (tmp_path, "no model lies there"),
    ):
        with pytest.raises(ib.InputError, match=message):
            load_fleet(wrong)
