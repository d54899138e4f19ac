"""The square around the hole that discriminator and feature networks see."""

import torch

from examples.mask_removal.window import around_hole


def hole(top: int, bottom: int, left: int, right: int, size: tuple[int, int] = (32, 48)) -> torch.Tensor:
    mask = torch.zeros(1, *size)
    mask[:, top:bottom, left:right] = 1
    return mask


def test_the_hole_lies_in_the_middle_of_its_square_and_every_sample_has_its_own() -> None:
    mask = torch.stack([hole(10, 14, 20, 26), hole(12, 20, 30, 32)])
    rows = torch.arange(32.0)[:, None].expand(32, 48).expand(2, 1, 32, 48)
    columns = torch.arange(48.0).expand(32, 48).expand(2, 1, 32, 48)
    seen_rows, seen_columns, seen_mask = around_hole(mask, (rows, columns, mask), 0.5)
    assert seen_rows.shape == (2, 1, 16, 16)
    # middles: (12, 23) and (16, 31); a square of 16 begins 8 before them
    assert seen_rows[:, 0, 0, 0].tolist() == [4, 8]
    assert seen_columns[:, 0, 0, 0].tolist() == [15, 23]
    assert torch.equal(seen_mask.sum((1, 2, 3)), mask.sum((1, 2, 3)))


def test_the_square_stays_in_the_image() -> None:
    mask = torch.stack([hole(0, 2, 46, 48), hole(30, 32, 0, 1)])
    (seen,) = around_hole(mask, (mask,), 0.5)
    assert seen.shape == (2, 1, 16, 16)
    assert seen[0, 0, 0, 15] == 1 and seen[1, 0, 15, 0] == 1


def test_images_stay_whole_for_a_share_of_1() -> None:
    mask = hole(10, 14, 20, 26)[None]
    assert around_hole(mask, (mask,), 1)[0] is mask
    assert around_hole(mask, (mask,), 0.9)[0].shape == (1, 1, 29, 29)


def test_without_a_hole_the_middle_is_seen() -> None:
    mask = torch.zeros(1, 1, 32, 48)
    columns = torch.arange(48.0).expand(1, 1, 32, 48)
    assert around_hole(mask, (columns,), 0.5)[0][0, 0, 0].tolist() == list(range(16, 32))


def test_the_gradient_reaches_the_square_alone() -> None:
    mask = hole(10, 14, 20, 26)[None]
    image = torch.zeros(1, 3, 32, 48, requires_grad=True)
    around_hole(mask, (image,), 0.5)[0].sum().backward()
    assert image.grad is not None
    assert image.grad.sum() == 3 * 16 * 16
    assert image.grad[..., 4:20, 15:31].eq(1).all()
