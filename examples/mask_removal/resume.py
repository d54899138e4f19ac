"""The state of a run as a whole: collected for a checkpoint, found again, and put back."""

import os
from pathlib import Path
from typing import Any, NamedTuple

from examples.mask_removal.checkpoint import FOLDER, load_checkpoint, load_last_checkpoint, set_aside_after, steps_of
from examples.mask_removal.distributed import Ranks
from examples.mask_removal.random_state import random_state, set_random_state

_EARLIER_FILE = "checkpoint.pt"


class Position(NamedTuple):
    """Where a run is. The sampler's position and the schedule follow from the step."""

    step: int = 0
    seconds: float = 0.0
    """Time trained so far."""
    best: tuple[int, float] | None = None
    """Step and figure of the best validation so far, of this run."""
    origin: str = ""
    """The checkpoint that ``--resume PATH`` began with or went back to; empty without."""


def collect(stateful: dict[str, Any], position: Position, ranks: Ranks) -> dict[str, Any]:
    """The complete state; every rank calls this, the first one's is saved.

    All of it is the same on all ranks, but for the random states.
    """
    state = {name: thing.state_dict() for name, thing in stateful.items()}
    return {**state, **position._asdict(), "random": ranks.gather(random_state())}


def resume(run: Path, wish: str, stateful: dict[str, Any], ranks: Ranks) -> Position:
    """Put the checkpoint that ``wish`` asks for into everything; return where the run goes on.

    The number of ranks may be another than before: what they share comes from the checkpoint, and a rank that is new
    begins with the random state of the first.

    Args:
        run: folder of the run.
        wish: ``"auto"`` for the last good one, if any; ``"never"`` for a run that must be new; or a checkpoint's path,
            with which a run begins: once it has checkpoints of its own that began there, it goes on from them. One of
            its own checkpoints as the path goes back to it.
        stateful: name → what has ``load_state_dict``.
        ranks: all of them must read the same file.

    Raises:
        ValueError: there is none that can be read, it does not fit, or ``"never"`` meets a run that has begun.
    """
    # torchrun starts the run that it has begun again. Every machine counts for itself, and one may not have been there.
    # No rank goes on before the first one has come, which holds the run: nobody writes into it any more.
    restarts = ranks.largest(int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")))
    state = _find(run, "auto" if wish == "never" and restarts else wish)
    steps = ranks.gather(state["step"] if state else 0)
    if len(set(steps)) > 1:
        raise ValueError(
            f"{run}: the ranks found checkpoints of different steps: {steps}. It must be on a shared disk."
        )
    if state is None:
        return Position()
    try:
        for name, thing in stateful.items():
            thing.load_state_dict(state[name])
        states = state["random"]
        set_random_state(states[ranks.rank] if ranks.rank < len(states) else states[0])
        best = (int(state["best"][0]), float(state["best"][1])) if state["best"] else None
        position = Position(int(state["step"]), float(state["seconds"]), best, str(state["origin"]))
    except (RuntimeError, KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{run}: the checkpoint of step {state['step']} does not fit the configuration; move it away to start "
            f"anew: {reason}"
        ) from error
    if ranks.is_first:
        set_aside_after(run, position.step)
        print(f"{run}: goes on from step {position.step}.", flush=True)
    return position


def _find(run: Path, wish: str) -> dict[str, Any] | None:
    if wish not in ("auto", "never"):
        return _begun_with(run, Path(wish))
    if wish == "never":
        if steps_of(run):
            raise ValueError(f"{run / FOLDER}: there are checkpoints. Choose another --output, or --resume auto.")
        return None
    if (run / _EARLIER_FILE).exists() and not steps_of(run):
        raise ValueError(
            f"{run / _EARLIER_FILE}: a checkpoint of an earlier version, which cannot be continued. "
            "Choose another --output; the generator beside it stays usable."
        )
    last = load_last_checkpoint(run)
    return last and {"origin": "", **last}


def _begun_with(run: Path, path: Path) -> dict[str, Any]:
    """The checkpoint at ``path``, or the last one of this run if it has gone on from there already: the same command,
    given again, loses nothing."""
    origin = str(path.resolve())
    try:
        last = load_last_checkpoint(run)
    except ValueError:  # none of its own can be read
        last = None
    if last is not None and last.get("origin") == origin:
        return last
    state = {**load_checkpoint(path), "origin": origin}
    if path.resolve().parent != (run / FOLDER).resolve():
        state["best"] = None  # measured by another run, perhaps otherwise and on other faces
    return state
