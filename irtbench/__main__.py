"""``python -m irtbench``: the command line."""

from irtbench.cli import main

main()
