"""Nobody adds a public name and forgets its guarantees."""

from tests.guarantees.names import NAMES, NOT_DIFFERENTIABLE
from tests.guarantees.registry import SUBJECTS


def test_every_public_name_is_guaranteed_or_excused() -> None:
    forgotten = sorted(NAMES.keys() - SUBJECTS.keys() - NOT_DIFFERENTIABLE.keys())
    assert forgotten == [], "add them to SUBJECTS, or to NOT_DIFFERENTIABLE with the reason"


def test_table_holds_public_names_only() -> None:
    assert sorted((SUBJECTS.keys() | NOT_DIFFERENTIABLE.keys()) - NAMES.keys()) == []
    assert sorted(SUBJECTS.keys() & NOT_DIFFERENTIABLE.keys()) == []
