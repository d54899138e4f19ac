from examples.mask_removal.removal_report import PhotoReport


def _line(**values: object) -> str:
    return str(PhotoReport(photo="a.png", status="done", output="b.png", pixels=100, seconds=0.5, **values))


def test_the_line_says_how_much_a_reference_guided_only_where_one_did() -> None:
    assert "100 pixels filled, 75% guided by the reference, 25% invented, in 0.5 s." in _line(guided=0.75)
    assert "100 pixels filled, all of them invented, in 0.5 s." in _line()
    assert "reference" not in _line()
