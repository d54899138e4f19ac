"""Products of matrices by oneDNN: where, exactly, and leaving the user's settings alone."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
import torch

from gatedinpaint import GatedConv2d, _products, minimal_filtering
from gatedinpaint._products import at_full_rate, onednn_is_exact, onednn_multiplies

needs_the_setting = pytest.mark.skipif(not hasattr(torch.backends.mkldnn, "matmul"), reason="PyTorch before 2.9")


def precision() -> str:
    return str(torch.backends.mkldnn.matmul.fp32_precision)


@pytest.fixture
def multiplies(monkeypatch: pytest.MonkeyPatch) -> None:
    """oneDNN is taken to be faster, and exact; on processors with AMX it is not."""
    monkeypatch.setattr(_products, "vectors", lambda: "wider convolutions")
    monkeypatch.setattr(_products, "onednn_is_exact", lambda: True)


def choose(precision: str) -> None:
    """As a user does."""
    torch.backends.mkldnn.matmul.fp32_precision = precision


@pytest.fixture
def free_again() -> Iterator[None]:
    yield
    choose("none")


@needs_the_setting
@pytest.mark.usefixtures("multiplies")
def test_the_setting_is_taken_back() -> None:
    before = precision()
    with at_full_rate():
        assert precision() == "bf16"
        with at_full_rate():
            assert precision() == "bf16"
        assert precision() == "bf16"
    assert precision() == before == "none"
    with pytest.raises(RuntimeError, match="within"), at_full_rate():
        raise RuntimeError("within")
    assert precision() == "none"


@needs_the_setting
@pytest.mark.usefixtures("multiplies")
def test_threads_share_the_setting() -> None:
    inside, leave = threading.Barrier(2), threading.Event()
    seen: list[str] = []

    def other() -> None:
        with at_full_rate():
            inside.wait(timeout=10)
            leave.wait(timeout=10)
            seen.append(precision())

    thread = threading.Thread(target=other)
    with at_full_rate():
        thread.start()
        inside.wait(timeout=10)
    seen.append(precision())  # the first has left, the other is still inside
    leave.set()
    thread.join()
    assert seen == ["bf16", "bf16"]
    assert precision() == "none"


@needs_the_setting
@pytest.mark.usefixtures("multiplies", "free_again")
@pytest.mark.parametrize("chosen", ["ieee", "tf32", "bf16"])
def test_a_precision_of_the_users_stays(chosen: str) -> None:
    choose(chosen)
    with at_full_rate():
        assert precision() == chosen
    assert precision() == chosen
    assert onednn_multiplies() is (chosen == "bf16")  # what layers choose by


@needs_the_setting
@pytest.mark.usefixtures("free_again")
@pytest.mark.parametrize("forbids", [False, True])
def test_nothing_is_concluded_where_it_may_not_be_tried_out(forbids: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_products, "vectors", lambda: "wider convolutions")
    monkeypatch.setattr(_products, "onednn_is_exact", lambda: pytest.fail("tried out"))
    if forbids:
        monkeypatch.setattr(torch.backends, "flags_frozen", lambda: True)
    else:
        choose("ieee")
    assert not onednn_multiplies()


@needs_the_setting
@pytest.mark.usefixtures("multiplies", "free_again")
def test_a_precision_that_is_chosen_meanwhile_stays() -> None:
    with at_full_rate():
        choose("ieee")
    assert precision() == "ieee"


@needs_the_setting
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes by fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.usefixtures("multiplies")
def test_a_forked_child_does_not_keep_what_another_thread_has_set() -> None:
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with at_full_rate():
            inside.set()
            leave.wait(timeout=60)

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(timeout=60)
    child = os.fork()
    if not child:
        seen = [precision()]
        with at_full_rate():
            seen.append(precision())
        seen.append(precision())
        os._exit(seen != ["none", "bf16", "none"])
    assert precision() == "bf16"
    leave.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert precision() == "none"


@needs_the_setting
@pytest.mark.parametrize("vectors", ["avx2", "avx512"])
def test_only_where_convolutions_are_wider(vectors: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_products, "vectors", lambda: vectors)
    monkeypatch.setattr(_products, "onednn_is_exact", lambda: True)
    assert not onednn_multiplies()
    with at_full_rate():
        assert precision() == "none"


@needs_the_setting
@pytest.mark.parametrize("rounds", [False, True])
def test_is_tried_out(rounds: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    inner, permitted = torch.bmm, []

    def product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        permitted.append(precision())
        return inner(a.bfloat16().float(), b.bfloat16().float()) if rounds else (a.double() @ b.double()).float()

    monkeypatch.setattr(torch, "bmm", product)
    assert onednn_is_exact.__wrapped__() is not rounds
    assert permitted == ["bf16"]
    assert precision() == "none"


@pytest.mark.usefixtures("multiplies")
def test_before_there_was_such_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends, "mkldnn", object())
    assert not onednn_multiplies()


@needs_the_setting
def test_a_thread_may_be_the_first_to_compute_after_the_main_thread_has_ended() -> None:
    code = """
import threading
from gatedinpaint._products import onednn_is_exact
def work():
    threading.main_thread().join()
    print(onednn_is_exact())
threading.Thread(target=work).start()
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (run.stdout.strip(), run.stderr) == (str(onednn_is_exact.__wrapped__()), "")


@needs_the_setting
def test_modes_of_the_caller_do_not_matter() -> None:
    expected = onednn_is_exact.__wrapped__()
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode():
        assert onednn_is_exact.__wrapped__() is expected


@needs_the_setting
@pytest.mark.skipif(not onednn_multiplies(), reason="elsewhere oneDNN is not asked")
def test_filtering_is_as_exact_by_onednn_as_by_mkl(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = GatedConv2d(64, 64, 3), torch.randn(1, 64, 32, 32)
    exact = GatedConv2d(64, 64, 3).double()
    exact.load_state_dict({name: value.double() for name, value in layer.state_dict().items()})
    errors = []
    for vectors in ("wider convolutions", "avx512"):
        monkeypatch.setattr(_products, "vectors", lambda vectors=vectors: vectors)
        with minimal_filtering("always"):
            y = layer(x)
        gradients = torch.autograd.grad(y.square().sum(), list(layer.parameters()))
        y_exact = exact(x.double())
        wanted = torch.autograd.grad(y_exact.square().sum(), list(exact.parameters()))
        pairs = zip([y.detach(), *gradients], [y_exact.detach(), *wanted], strict=True)
        errors.append(max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs))
    assert max(errors) < 1e-5
    assert errors[0] < 2 * errors[1]
