"""Commands on small simulated files: results, refusals, and what is left behind."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import irtbench as ib
from irtbench.cli import app
from irtbench.commands.workspace import PARTS

HEAVY = ("torch", "pyro", "transformers", "pandas", "scipy.stats", "sklearn", "matplotlib", "arviz")
OUTPUTS = {
    "comparison.parquet",
    "summary.csv",
    "size_error.svg",
    "size_error.png",
    "report.html",
    "config.json",
}


def irtbench(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


def done(*arguments):
    result = irtbench(*arguments)
    assert result.exit_code == 0, result.stderr
    return result


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with responses, new responses, a fit and a subset."""
    folder = tmp_path_factory.mktemp("cli")
    everyone = ib.simulate(n_models=40, n_items=40, n_benchmarks=2, seed=0).responses
    old = everyone.take(models=slice(0, 34))
    old.save(folder / "old.parquet")
    done("fit", folder / "old.parquet", "--method", "laplace", "-o", folder / "fit", "--quiet")
    done(
        "subset", folder / "old.parquet", "--size", 8, "--bank", folder / "fit", "-o", folder / "subset", "-q"
    )
    subset = ib.load(folder / "subset")
    everyone.take(models=slice(34, 40), items=subset.items).save(folder / "new.parquet")
    return folder


def compare(responses, out, *more):
    few = ("--sizes", "5,10", "--splits", 2, "--methods", "stratified + weighted", "--jobs", 1)
    return irtbench("compare", responses, "-o", out, *few, *more)


def test_help_and_import_load_nothing_heavy():
    code = (
        "import sys, irtbench\n"
        "import irtbench.cli as cli\n"
        "try: cli.app(['--help'])\n"
        "except SystemExit as stop: assert not stop.code\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip().splitlines()[-1] == "[]"


def test_help_takes_a_fraction_of_a_second():
    code = "import resource, irtbench.cli as cli\ntry: cli.app(['--help'])\nexcept SystemExit: pass\n"
    code += "import sys; print(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]), file=sys.stderr)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(found.stderr) < 1.5  # CPU seconds; 0.35 on an idle machine


@pytest.mark.parametrize(
    "command",
    ["import", "describe", "fit", "subset", "estimate", "compare", "decide", "items", "simulate", "demo"],
)
def test_every_command_has_help(command):
    assert command in done("--help").stdout
    assert "Usage" in done(command, "--help").stdout


def test_no_command_shows_the_help():
    assert "demo" in done().stdout


def test_version():
    assert done("--version").stdout == f"irtbench {ib.__version__}\n"
    module = [sys.executable, "-m", "irtbench", "--version"]
    assert subprocess.run(module, capture_output=True, text=True).stdout == f"irtbench {ib.__version__}\n"


def test_simulate_writes_a_matrix_and_its_configuration(tmp_path):
    out = tmp_path / "s.parquet"
    done("simulate", "-o", out, "--models", 12, "--items", 9, "--seed", 3)
    assert ib.read(out).fingerprint == ib.simulate(12, 9, seed=3).responses.fingerprint
    config = json.loads((tmp_path / "s.parquet.config.json").read_text())
    assert config["options"]["seed"] == 3
    assert config["options"]["missing"] == 0.0
    assert config["command"].startswith("irtbench simulate -o")
    assert config["versions"]["irtbench"] == ib.__version__


def test_import_reads_a_table(tmp_path):
    (tmp_path / "w.csv").write_text("model,q1,q2\n" + "".join(f"m{k},{k % 2},1\n" for k in range(12)))
    result = done("import", tmp_path / "w.csv", "-o", tmp_path / "r.parquet", "--metric", "exact", "--json")
    assert json.loads(result.stdout)["models"] == 12
    assert ib.read(tmp_path / "r.parquet").metric.name == "exact"
    assert list(json.loads((tmp_path / "r.parquet.config.json").read_text())["inputs"]) == [
        str(tmp_path / "w.csv")
    ]


def test_describe_tells_people_on_stderr_and_machines_on_stdout(files):
    plain = done("describe", files / "old.parquet")
    assert plain.stdout == ""
    assert "benchmark-2" in plain.stderr
    machine = json.loads(done("describe", files / "old.parquet", "--json", "--quiet").stdout)
    assert [row["benchmark"] for row in machine["benchmarks"]] == ["benchmark-1", "benchmark-2"]
    assert machine["fingerprint"] == ib.read(files / "old.parquet").fingerprint


def test_fit_writes_a_folder_that_loads(files):
    fit = ib.load(files / "fit")
    assert fit.bank.n_items == 40
    config = json.loads((files / "fit" / "config.json").read_text())
    assert config["inputs"] == {str(files / "old.parquet"): ib.read(files / "old.parquet").fingerprint}


def test_fit_writes_a_report_unless_told_not_to(files, tmp_path):
    from irtbench.irt import diagnostics

    extra = {"report.html", "items_fit.csv", "pairs_fit.csv", "models_fit.csv", "benchmarks_fit.csv"}
    names = {p.name for p in (files / "fit").iterdir()}
    assert extra <= names
    page = (files / "fit" / "report.html").read_text()
    assert "The fit has " in page
    assert "irtbench fit" in page
    items = pd.read_csv(files / "fit" / "items_fit.csv", index_col="item")
    expected = diagnostics.item_fit(ib.load(files / "fit"), ib.read(files / "old.parquet"))
    pd.testing.assert_frame_equal(items, expected, check_index_type=False)
    done("fit", files / "old.parquet", "--method", "laplace", "-o", tmp_path / "bare", "--no-report", "-q")
    assert {p.name for p in (tmp_path / "bare").iterdir()} == names - extra
    assert ib.load(tmp_path / "bare").fingerprint == ib.load(files / "fit").fingerprint


def test_subset_uses_the_bank(files):
    assert ib.load(files / "subset").bank.fingerprint == ib.load(files / "fit").bank.fingerprint
    assert len(json.loads((files / "subset" / "config.json").read_text())["inputs"]) == 2


def test_estimate_prints_or_writes(files, tmp_path):
    printed = done("estimate", files / "subset", files / "new.parquet", "--quiet").stdout
    done("estimate", files / "subset", files / "new.parquet", "-o", tmp_path / "scores.csv")
    assert (tmp_path / "scores.csv").read_text() == printed
    table = pd.read_csv(tmp_path / "scores.csv", index_col="model", keep_default_na=False)
    expected = ib.estimate(ib.load(files / "subset"), ib.read(files / "new.parquet"))
    pd.testing.assert_frame_equal(table, expected, check_names=False, check_index_type=False)
    machine = json.loads(done("estimate", files / "subset", files / "new.parquet", "--json", "-q").stdout)
    assert machine["scores"][0]["model"] == expected.index[0]


def test_compare_writes_tables_figure_and_report(files, tmp_path):
    out = tmp_path / "out"
    result = compare(files / "old.parquet", out, "--json", "--quiet")
    assert result.exit_code == 0, result.stderr
    assert {p.name for p in out.iterdir()} == OUTPUTS
    machine = json.loads(result.stdout)
    assert machine["verdict"] in (out / "report.html").read_text().replace("&#39;", "'")
    summary = pd.read_csv(out / "summary.csv")
    pd.testing.assert_frame_equal(summary, ib.summarize(pd.read_parquet(out / "comparison.parquet")))
    assert len(machine["summary"]) == len(summary) == 4
    assert json.loads((out / "config.json").read_text())["finished"] is True


def test_a_finished_comparison_is_replaced_with_force_only(files, tmp_path):
    out = tmp_path / "out"
    assert compare(files / "old.parquet", out).exit_code == 0
    before = (out / "comparison.parquet").read_bytes()
    refused = compare(files / "old.parquet", out, "--seed", 1)
    assert refused.exit_code == 2
    assert "exists already" in refused.stderr
    assert (out / "comparison.parquet").read_bytes() == before
    bad = compare(files / "old.parquet", out, "--force", "--sizes", 41)
    assert bad.exit_code == 2
    assert (out / "comparison.parquet").read_bytes() == before
    assert compare(files / "old.parquet", out, "--force", "--seed", 1).exit_code == 0
    assert (out / "comparison.parquet").read_bytes() != before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_stopped_comparison_continues(files, tmp_path, monkeypatch):
    from irtbench.compare import experiment

    out, real, ran = tmp_path / "out", experiment.run_split, []

    def stop_at_the_second(responses, plan, number, split):
        ran.append(number)
        if len(ran) == 2:
            raise KeyboardInterrupt
        return real(responses, plan, number, split)

    monkeypatch.setattr(experiment, "run_split", stop_at_the_second)
    stopped = compare(files / "old.parquet", out)
    assert stopped.exit_code == 130
    assert len(list((out / PARTS).iterdir())) == 1
    other = compare(files / "old.parquet", out, "--seed", 5)
    assert other.exit_code == 2
    assert "seed: 0 then, 5 now" in other.stderr
    finished = compare(files / "old.parquet", out)
    assert finished.exit_code == 0, finished.stderr
    assert ran == [0, 1, 1]
    assert {p.name for p in out.iterdir()} == OUTPUTS
    fresh = tmp_path / "fresh"
    assert compare(files / "old.parquet", fresh).exit_code == 0
    pd.testing.assert_frame_equal(*(pd.read_parquet(f / "comparison.parquet") for f in (out, fresh)))


def test_quiet_says_nothing(files, tmp_path):
    result = done("simulate", "-o", tmp_path / "q.parquet", "--quiet")
    assert result.output == ""


def test_warnings_are_one_line_each(tmp_path):
    (tmp_path / "few.csv").write_text("model,q1,q2\na,1,0\nb,0,1\nc,1,1\n")
    result = done("import", tmp_path / "few.csv", "-o", tmp_path / "r.parquet", "--quiet")
    lines = result.stderr.splitlines()
    assert lines
    assert all(line.startswith("irtbench: warning: ") for line in lines)
    assert len(lines) == len(set(lines))


def test_an_interrupt_ends_with_130_and_leaves_nothing(tmp_path):
    # raised, not sent: a process that was started in the background ignores the signal
    code = "def stop(*a, **k): raise KeyboardInterrupt\n"
    code += "import irtbench.irt; irtbench.irt.simulate = stop; import irtbench; irtbench.simulate = stop\n"
    code += (
        "from irtbench.cli import main; import sys; sys.argv[1:] = ['simulate', '-o', 'x.parquet']; main()"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert found.returncode == 130, found.stderr
    assert found.stderr.splitlines() == ["irtbench: stopped"]
    assert list(tmp_path.iterdir()) == []


def test_force_replaces_a_file(tmp_path):
    out = tmp_path / "s.parquet"
    done("simulate", "-o", out, "--seed", 1)
    before = out.read_bytes()
    assert irtbench("simulate", "-o", out, "--seed", 2).exit_code == 2
    assert out.read_bytes() == before
    done("simulate", "-o", out, "--seed", 2, "--force")
    assert out.read_bytes() != before


def test_force_does_not_delete_a_folder_of_others(files, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("dear")
    for command in (("fit", files / "old.parquet"), ("compare", files / "old.parquet"), ("demo",)):
        result = irtbench(*command, "-o", tmp_path / "mine", "--force")
        assert result.exit_code == 2
        assert "did not write" in result.stderr
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "dear"


@pytest.mark.slow
def test_simulated_demo_ends_with_five_lines(tmp_path):
    out = tmp_path / "demo"
    how = ("demo", "--simulate", "-o", out, "--models", 40, "--items", 60, "--splits", 2)
    result = done(*how)
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["Data", "Fit", "Estimate", "Compare", "Reports"]
    assert lines[-1].endswith(str(out / "report.html"))
    assert "correlation with the truth" in lines[1]
    assert {p.name for p in out.iterdir()} > OUTPUTS
    assert ib.load(out / "subset").size == 10
    assert done(*how, "--force", "--json").stdout[0] == "{"
    assert Path(out / "fit" / "fit.json").is_file()


@pytest.mark.slow
def test_demo_on_the_seedlings_says_what_it_found(tmp_path):
    out = tmp_path / "demo"
    found = json.loads(done("demo", "-o", out, "--splits", 2, "--json").stdout)
    said = ["Data", "Fit", "Estimate", "Compare", "Noise", "Framing", "Metric", "Items", "Subset", "Reports"]
    assert list(found["lines"]) == said
    assert all(found["lines"].values())
    assert {p.name for p in out.iterdir()} > OUTPUTS
    pages = {p.name for p in (out / "variance").iterdir()}
    assert pages == {
        "report.html",
        "variance.parquet",
        "components.parquet",
        "curves.parquet",
        "variance.json",
    }
    # E by hand, from the responses that ship: sd of ten seeds, mean over the checkpoints
    R = ib.read("seedlings/completion_acc").take(benchmark="sums")
    seeds = R.models.assign(score=R.scores()).query("arm == 'seeds'").pivot(index="seed", columns="step")
    table = pd.read_parquet(out / "variance" / "variance.parquet").set_index(["family", "benchmark"])
    assert table.loc[("seeds", "sums"), "E"] == pytest.approx(seeds["score"].std(ddof=1).mean(), rel=1e-6)


def test_import_keeps_the_benchmarks_asked_for(tmp_path):
    done("simulate", "-o", tmp_path / "three.parquet", "--models", 12, "--items", 30, "--benchmarks", 3)
    arguments = ("import", tmp_path / "three.parquet", "--benchmark", "benchmark-1, benchmark-3")
    done(*arguments, "-o", tmp_path / "two.parquet")
    assert set(ib.read(tmp_path / "two.parquet").benchmarks) == {"benchmark-1", "benchmark-3"}
    refused = irtbench(
        "import", tmp_path / "three.parquet", "--benchmark", "chess", "-o", tmp_path / "x.parquet"
    )
    assert refused.exit_code == 2
    assert "no items of benchmark 'chess'" in refused.stderr
