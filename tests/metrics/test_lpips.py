import copy
import subprocess
import sys
import urllib.error
from types import SimpleNamespace

import lpips
import pytest
import torch
import torchvision
from torch import Tensor

from gatedinpaint.metrics import LPIPS, InpaintingEvaluation


@pytest.fixture(scope="session")
def random_trunks() -> dict[str, torch.nn.Module]:
    """Seeded values: the trained ones cannot be downloaded everywhere."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vgg = torchvision.models.vgg
        return {
            "alexnet": torchvision.models.alexnet(weights=None).features,
            "vgg16": vgg.make_layers(vgg.cfgs["D"]),
        }


@pytest.fixture(autouse=True)
def package(monkeypatch: pytest.MonkeyPatch, random_trunks: dict[str, torch.nn.Module]) -> SimpleNamespace:
    """The networks that the lpips package asks torchvision for; its own weights v are the trained ones."""
    networks = lpips.pretrained_networks.tv
    for name, layers in random_trunks.items():
        monkeypatch.setattr(
            networks, name, lambda pretrained, layers=layers: SimpleNamespace(features=copy.deepcopy(layers))
        )
    return networks


def images(size: int = 64, *, batch: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    first, noise = torch.rand(2, batch, 3, size, size, generator=generator) * 2 - 1
    return first, (first + 0.5 * noise).clamp(-1, 1)


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_equals_the_lpips_package(net: str) -> None:
    input, target = images()
    with torch.no_grad():
        expected = lpips.LPIPS(net=net, verbose=False)(input, target).flatten()
    values = LPIPS(net)(input, target)
    assert values.shape == (2,)
    assert expected.min() > 0
    torch.testing.assert_close(values, expected, rtol=1e-4, atol=1e-7)


def test_an_evaluation_measures_it_between_result_and_truth() -> None:
    result, image = images()
    mask = torch.zeros(2, 1, 64, 64)
    mask[..., 20:40, 20:40] = 1
    evaluation = InpaintingEvaluation(lpips=[LPIPS("alex")])
    evaluation.update({"noise": result, "truth": image}, image, mask, ids=["a", "b"])
    with torch.no_grad():
        expected = lpips.LPIPS(net="alex", verbose=False)(result, image).flatten().tolist()
    found = {name: [row["LPIPS alex"] for row in report.rows] for name, report in evaluation.reports().items()}
    assert found["noise"] == pytest.approx(expected, rel=1e-4)
    assert found["truth"] == [0.0, 0.0]


def test_each_image_of_a_batch_on_its_own_and_symmetric() -> None:
    metric, (input, target) = LPIPS("alex"), images(batch=3)
    values = metric(input, target)
    alone = torch.cat([metric(input[i : i + 1], target[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(values, alone, rtol=1e-5, atol=0)
    torch.testing.assert_close(values, metric(target, input), rtol=1e-5, atol=0)
    assert metric(input, input).tolist() == [0.0, 0.0, 0.0]


def test_by_hand_over_features_that_are_there() -> None:
    metric = LPIPS("alex")
    # Two channels of 64 are alive, the lengths 1 after scaling: squared differences (1 - 0.6)² and (0 - 0.8)².
    first, second = torch.zeros(2, 1, 64, 1, 1)
    first[0, 0], second[0, 0], second[0, 1] = 5.0, 3.0, 4.0
    rest = [torch.ones(1, channels, 1, 1) for channels in (192, 384, 256, 256)]
    weights = metric.state_dict()["weights.0.model.1.weight"].flatten()
    expected = 0.16 * weights[0] + 0.64 * weights[1]
    assert expected > 0
    torch.testing.assert_close(metric.distance([first, *rest], [second, *rest]), expected[None])


def test_gradient_is_finite_where_no_feature_is_alive() -> None:
    alive = [torch.ones(1, channels, 1, 1) for channels in (64, 192, 384, 256, 256)]
    dead = [torch.zeros_like(level).requires_grad_() for level in alive]
    LPIPS("alex").distance(dead, alive).backward()
    assert all(level.grad is not None and level.grad.isfinite().all() for level in dead)


def test_distance_of_features_is_that_of_images() -> None:
    metric, (input, target) = LPIPS("alex"), images()
    features = metric.features(input), metric.features(target)
    assert [level.shape[1] for level in features[0]] == [64, 192, 384, 256, 256]
    torch.testing.assert_close(metric.distance(*features), metric(input, target), rtol=1e-5, atol=0)


def test_gradient_reaches_the_image_and_no_parameter() -> None:
    metric, (input, target) = LPIPS("alex"), images()
    metric(input.requires_grad_(), target).sum().backward()
    assert input.grad is not None and input.grad.isfinite().all()
    assert (input.grad != 0).float().mean() > 0.9
    same = target.clone().requires_grad_()
    metric(same, target).sum().backward()
    assert same.grad is not None and same.grad.isfinite().all()
    assert all(not parameter.requires_grad for parameter in metric.parameters())
    assert len(metric(input.detach().mul(1.5).requires_grad_(), target)) == 2  # a network in training may overshoot


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_computes_in_float32(dtype: torch.dtype) -> None:
    metric, (input, target) = LPIPS("alex"), (image.to(dtype) for image in images())
    expected = metric(input.float(), target.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        values = metric(input, target)
    assert values.dtype == torch.float32
    assert torch.equal(values, expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_is_made_in_float32_whatever_the_default_is(dtype: torch.dtype) -> None:
    expected, (input, target) = LPIPS("alex")(*images()), images()
    torch.set_default_dtype(dtype)
    try:
        metric = LPIPS("alex")
        assert torch.get_default_dtype() is dtype
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(metric(input, target), expected)


def test_stays_in_evaluation_mode_and_draws_no_random_numbers() -> None:
    before = torch.get_rng_state()
    parent = torch.nn.Sequential(LPIPS("alex")).train()
    assert torch.equal(torch.get_rng_state(), before)
    assert parent.training
    assert not any(module.training for module in parent[0].modules())
    assert "net='alex'" in repr(parent)


@pytest.mark.parametrize(("net", "smallest"), [("alex", 31), ("vgg", 16)])
def test_smallest_images(net: str, smallest: int) -> None:
    metric = LPIPS(net)
    assert metric(*images(smallest)).isfinite().all()
    with pytest.raises(ValueError, match=rf'input must be at least {smallest} pixels high and wide for net="{net}"'):
        metric(*images(smallest - 1))
    with pytest.raises(RuntimeError):  # the number is the network's own
        metric.trunk(images(smallest - 1)[0])


def test_bad_images() -> None:
    metric, (input, target) = LPIPS("alex"), images()
    with pytest.raises(ValueError, match=r"target must be in \[-1, 1\]; got values from 0 to 255"):
        metric(input, torch.linspace(0, 255, input.numel()).view_as(input))
    with pytest.raises(ValueError, match=r"input must be in \[-1, 1\]; got values from nan to nan"):
        metric(input * torch.nan, target)
    with pytest.raises(ValueError, match="must have one shape"):
        metric(input, target[:1])
    with pytest.raises(ValueError, match=r"input must be \(B, 3, H, W\); got \(3, 64, 64\)"):
        metric(input[0], target[0])
    with pytest.raises(ValueError, match='net must be "alex" or "vgg"; got \'squeeze\''):
        LPIPS("squeeze")


def test_weights_that_cannot_be_had(package: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(pretrained: bool) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(package, "alexnet", offline)
    with pytest.raises(RuntimeError, match=r"alex weights came neither from the cache .*no network"):
        LPIPS("alex")


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(ImportError, match=r'pip install "gatedinpaint\[metrics\]"'):
        LPIPS("alex")


def test_importing_the_metrics_brings_no_torchvision() -> None:
    code = "import sys, gatedinpaint.metrics; sys.exit(bool({'torchvision', 'lpips'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
