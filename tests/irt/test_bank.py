"""The item bank: moments, draws, files."""

import json

import numpy as np
import pandas as pd
import pytest

import irtbench as ib


@pytest.fixture(scope="module")
def bank():
    return ib.fit(ib.simulate(80, 40, irt="3pl", seed=0).responses, irt="3pl", method="laplace").bank


def test_draws_have_the_tabulated_moments(bank):
    draws = bank.draws(20_000, seed=1)
    for name, x in draws.items():
        mean, sd = bank.items[name], bank.items[f"{name}_sd"]
        # five standard errors of a mean of 20,000 draws; of an sd, allowing for heavy tails
        np.testing.assert_array_less(np.abs(x.mean(axis=0) - mean), 5 * sd / np.sqrt(20_000) + 1e-12)
        np.testing.assert_allclose(x.std(axis=0), sd, rtol=0.08)


def test_draws_are_seeded(bank):
    assert np.array_equal(bank.draws(3, seed=1)["difficulty"], bank.draws(3, seed=1)["difficulty"])
    assert not np.array_equal(bank.draws(3, seed=1)["difficulty"], bank.draws(3, seed=2)["difficulty"])


def test_2pl_has_no_guessing():
    bank = ib.fit(ib.simulate(30, 20, seed=0).responses, method="laplace").bank
    assert (bank.items[["guessing", "guessing_sd"]] == 0).all(axis=None)
    assert (bank.draws(5)["guessing"] == 0).all()


def test_round_trip(bank, tmp_path):
    bank.save(tmp_path / "bank")
    again = ib.load(tmp_path / "bank")
    assert again.fingerprint == bank.fingerprint
    assert again.info == json.loads(json.dumps(bank.info))
    pd.testing.assert_frame_equal(again.items, bank.items)


def test_take_keeps_the_order_asked_for(bank):
    wanted = [bank.item_ids[3], bank.item_ids[1]]
    part = bank.take(wanted)
    assert part.item_ids == wanted
    assert part.items["difficulty"].tolist() == bank.items["difficulty"].loc[wanted].tolist()
    with pytest.raises(ib.InputError, match="'nowhere' is not in the bank"):
        bank.take(["nowhere"])


def test_damage_is_noticed(bank, tmp_path):
    bank.save(tmp_path / "bank")
    path = tmp_path / "bank" / "items.parquet"
    table = pd.read_parquet(path)
    table.loc[table.index[0], "loc_b"] += 1
    table.to_parquet(path)
    with pytest.raises(ib.InputError, match="damaged or edited"):
        ib.load(tmp_path / "bank")
    path.write_bytes(b"PAR1")
    with pytest.raises(ib.InputError, match=r"items\.parquet"):
        ib.load(tmp_path / "bank")


def test_a_folder_of_others_is_never_replaced(bank, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(ib.InputError, match="did not write"):
        bank.save(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"


def test_nothing_is_left_of_a_failed_write(bank, tmp_path, monkeypatch):
    monkeypatch.setattr("irtbench.irt.bank.write_json", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        bank.save(tmp_path / "bank")
    assert list(tmp_path.iterdir()) == []
