"""The catalogue's folders."""

import pytest

from irtbench.catalogue import KINDS, catalogue_folder
from irtbench.errors import InputError


@pytest.mark.parametrize("kind", KINDS)
def test_folders_lie_in_the_checkout(kind):
    assert catalogue_folder(kind).parts[-2:] == ("models", kind)


def test_an_unknown_kind_is_named():
    with pytest.raises(InputError, match="got 'people'"):
        catalogue_folder("people")
