"""The command line: ``irtbench score | import | describe | fit | subset | estimate | compare`` and more.

Results for machines go to stdout, everything for people to stderr. Bad input ends in one line
``irtbench: error: …`` and exit code 2, an interrupt in exit code 130.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from irtbench.commands import (
    adapt,
    banks,
    compare,
    data,
    decide,
    demo,
    export,
    fit,
    gate,
    score,
    subset,
    variance,
)
from irtbench.errors import InputError

__all__ = ["app", "main"]


class _Commands(TyperGroup):
    """The group of commands; it turns every foreseeable failure into one line and an exit code."""

    def main(self, args: Sequence[str] | None = None, *more: Any, **extra: Any) -> Any:
        arguments = list(sys.argv[1:] if args is None else args)
        extra.update(standalone_mode=False, obj=tuple(arguments))
        try:
            with _one_line_warnings():
                code = super().main(arguments or ["--help"], *more, **extra)
        except InputError as error:
            code = _fail(str(error))
        except typer.TyperException as error:
            code = _fail(getattr(error, "format_message", error.__str__)())
        except (typer.Abort, KeyboardInterrupt):
            code = 130
        except BrokenPipeError:
            sys.stderr.close()
            code = 1
        except OSError as error:
            code = _fail(": ".join(str(part) for part in (error.filename, error.strerror or error) if part))
        if code == 130:
            typer.echo("irtbench: stopped", err=True)
        sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str) -> int:
    text = " ".join(message.split()).replace("Value error, ", "")  # a prefix of typer's validator
    typer.echo(f"irtbench: error: {text}", err=True)
    return 2


@contextmanager
def _one_line_warnings() -> Iterator[None]:
    seen = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        text = " ".join(str(message).split())
        if text not in seen:
            seen.add(text)
            typer.echo(f"irtbench: warning: {text}", err=True)

    with warnings.catch_warnings():
        warnings.resetwarnings()
        for category in (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ImportWarning):
            warnings.simplefilter("ignore", category)
        warnings.showwarning = show
        yield


app = typer.Typer(
    name="irtbench",
    cls=_Commands,
    help="Probabilistic item response theory for people who evaluate language models.",
    epilog="Start with: irtbench demo",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from irtbench import __version__

        typer.echo(f"irtbench {__version__}")
        raise typer.Exit


@app.callback()
def _irtbench(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


app.command("score")(score.score)
app.command("import")(data.import_)
app.command("describe")(data.describe)
app.command("fit")(fit.fit)
app.command("subset")(subset.subset)
app.command("estimate")(subset.estimate)
app.command("adapt")(adapt.adapt)
app.command("gate")(gate.gate)
app.command("export")(export.export)
app.command("banks")(banks.banks)
app.command("compare")(compare.compare)
app.command("variance")(variance.variance)
app.command("decide")(decide.decide)
app.command("items")(decide.items)
app.command("simulate")(data.simulate)
app.command("demo")(demo.demo)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
