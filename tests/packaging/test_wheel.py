"""The wheel: what it holds, and that it works without the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(CHECKOUT)]
    subprocess.run(build, check=True, capture_output=True)
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    target = tmp_path_factory.mktemp("installed")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        str(target),
    ]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    return target


def run(installed, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(installed), "NO_COLOR": "1", "COLUMNS": "120"}
    found = subprocess.run(arguments, cwd=installed, env=environment, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_the_wheel_holds_the_package_the_template_and_the_catalogue(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"irtbench/py.typed", "irtbench/report/templates/report.html.j2"} <= names
    assert "irtbench/_models/README.md" in names
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"irtbench"}


def test_the_catalogue_is_data_only():
    assert not list((CHECKOUT / "models").rglob("*.py"))


def test_every_file_of_the_catalogue_ships(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    here = {
        p.relative_to(CHECKOUT / "models").as_posix() for p in (CHECKOUT / "models").rglob("*") if p.is_file()
    }
    assert {f"irtbench/_models/{name}" for name in here} <= names


def test_the_installed_package_finds_its_catalogue(installed):
    code = (
        "import irtbench\n"
        "from irtbench.catalogue import catalogue_folder\n"
        "print(irtbench.__file__)\n"
        "print(catalogue_folder('recipes'))\n"
        "print(sorted(p.stem for p in catalogue_folder('recipes').glob('*.toml')))"
    )
    where, recipes, names = run(installed, sys.executable, "-c", code).splitlines()
    assert Path(where).is_relative_to(installed)
    assert Path(recipes) == installed / "irtbench" / "_models" / "recipes"
    here = sorted(p.stem for p in (CHECKOUT / "models" / "recipes").glob("*.toml"))
    assert names == str(here)


def test_the_installed_command_works(installed):
    script = installed / "bin" / "irtbench"
    assert "demo" in run(installed, sys.executable, str(script), "--help")
    run(
        installed, sys.executable, str(script), "simulate", "-o", "s.parquet", "--models", "5", "--items", "4"
    )
    assert (installed / "s.parquet").is_file()


def test_the_version_is_said_once():
    import tomllib

    import irtbench

    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    assert project["version"] == irtbench.__version__
    assert f'version: "{irtbench.__version__}"' in (CHECKOUT / "CITATION.cff").read_text()
