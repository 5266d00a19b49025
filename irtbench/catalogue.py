"""The catalogue: data that ships with irtbench (recipes, framings, fleets, responses, item banks …)."""

from __future__ import annotations

from pathlib import Path

from irtbench.errors import InputError

__all__ = ["KINDS", "catalogue_file", "catalogue_folder", "catalogue_names"]

KINDS = ("recipes", "framings", "fleets", "weights", "questions", "responses", "banks")
_SUFFIXES = {
    "recipes": ".toml",
    "framings": ".toml",
    "fleets": ".toml",
    "questions": ".jsonl",
    "responses": ".parquet",
}
_PACKAGE = Path(__file__).resolve().parent


def catalogue_folder(kind: str) -> Path:
    """Return the folder of one kind of entry: ``_models/`` of a wheel, else ``models/`` of a checkout.

    Args:
        kind: ``recipes``, ``framings``, ``fleets``, ``weights``, ``questions``, ``responses`` or ``banks``.

    Raises:
        InputError: unknown kind, or an installation without the catalogue.

    Example:
        >>> catalogue_folder("recipes").name
        'recipes'
    """
    if kind not in KINDS:
        raise InputError(f"the catalogue has {', '.join(KINDS)}; got {kind!r}")
    for root in (_PACKAGE / "_models", _PACKAGE.parent / "models"):
        if (root / "README.md").is_file():
            return root / kind
    raise InputError(f"{_PACKAGE}: the catalogue (_models) is missing; install irtbench again")


def catalogue_names(kind: str) -> list[str]:
    """Names of the entries of a kind that are files, ``folder/name`` where they lie in folders.

    Example:
        >>> catalogue_names("recipes")
        ['1pl', '2pl', '3pl', '4pl']
    """
    root = catalogue_folder(kind)
    return sorted(p.relative_to(root).with_suffix("").as_posix() for p in root.rglob(f"*{_SUFFIXES[kind]}"))


def catalogue_file(kind: str, name: str) -> Path | None:
    """File of an entry, or None if the catalogue has none of that name.

    Example:
        >>> catalogue_file("recipes", "2pl").name, catalogue_file("recipes", "9pl")
        ('2pl.toml', None)
    """
    if name not in catalogue_names(kind):
        return None
    return catalogue_folder(kind) / f"{name}{_SUFFIXES[kind]}"
