"""Language models: loaded from a folder, a GGUF file or the Hugging Face hub, checked, and ready to score."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from irtbench.devices import pick_device
from irtbench.errors import InputError
from irtbench.files import fingerprint

__all__ = [
    "DTYPES",
    "LanguageModel",
    "files_fingerprint",
    "load_language_model",
    "longest_input",
    "model_folder",
    "start_tokens",
]

DTYPES = ("auto", "float32", "bfloat16", "float16", "float64")
_DECISIVE = ("*.json", "*.safetensors", "*.bin", "*.gguf", "*.model", "*.txt", "*.jinja", "*.tiktoken")
_UNTOLD = 2048  # tokens, where neither the model nor its tokenizer names a limit


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A causal language model with its tokenizer, on a device.

    Attributes:
        name: what it is called in results.
        model: the transformers model, in evaluation mode.
        tokenizer: its tokenizer.
        device: where the model is.
        max_length: tokens that it takes.
        start: special tokens that its tokenizer puts before every text (BOS, where there is one).
        layout: ``tree`` if its attention can follow token trees, which is tried out when it is loaded;
            ``rows`` if every option has to be read on its own.
        fingerprint: of the files that decide its answers, and of its number format.
    """

    name: str
    model: Any
    tokenizer: Any
    device: torch.device
    max_length: int
    start: tuple[int, ...]
    layout: Literal["tree", "rows"]
    fingerprint: str

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the weights."""
        return next(self.model.parameters()).dtype

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return sum(p.numel() for p in self.model.parameters())

    def __repr__(self) -> str:
        size = self.parameters / 1e6
        number = str(self.dtype).removeprefix("torch.")
        return f"LanguageModel: {self.name}, {size:.3g} M parameters, {number} on {self.device}"


def load_language_model(
    source: str | Path,
    *,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    name: str | None = None,
    max_length: int | None = None,
) -> LanguageModel:
    """Load a causal language model and its tokenizer.

    Args:
        source: a folder in transformers' format, a ``.gguf`` file, or an id on the Hugging Face hub.
        revision: branch, tag or commit on the hub.
        dtype: ``auto`` (float32 on a CPU, the checkpoint's own format on a GPU), ``float32``,
            ``bfloat16``, ``float16`` or ``float64``.
        device: ``auto``, ``cpu``, ``cuda`` …
        name: what it is called in results; the folder's or file's name, or the id, by default.
        max_length: tokens that it takes, if not what its configuration says.

    Raises:
        InputError: no such folder or model, no tokenizer, a format that transformers does not load.
    """
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    from irtbench.scoring.engine.layout import tried_layout

    if dtype not in DTYPES:
        raise InputError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    where = pick_device(device)
    path = model_folder(source, revision)
    file = {"gguf_file": path.name} if path.suffix == ".gguf" else {}
    folder = path.parent if file else path
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **file)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=_number_format(dtype, where), **file)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        raise InputError(f"{source}: is no causal language model that loads: {_first_line(error)}") from None
    finally:
        if shown:
            logging.enable_progress_bar()
    model = model.eval().requires_grad_(False).to(where)
    number = str(next(model.parameters()).dtype)
    return LanguageModel(
        name or (path.stem if file else path.name if Path(source).exists() else str(source)),
        model,
        tokenizer,
        where,
        max_length or longest_input(model, tokenizer),
        start_tokens(tokenizer),
        tried_layout(model),
        fingerprint(files_fingerprint(path), number),
    )


def model_folder(source: str | Path, revision: str | None = None) -> Path:
    """Return the folder (or GGUF file) of a model; fetch it from the Hugging Face hub if it is an id.

    Raises:
        InputError: neither there nor an id that the hub has.
    """
    path = Path(source).expanduser()
    if path.suffix == ".gguf" and path.is_file():
        return path
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise InputError(f"{path}: has no config.json; give a folder that save_pretrained wrote")
        return path
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", str(source)) or str(source).startswith("."):
        raise InputError(f"{source}: no such folder; give a folder, a .gguf file or an id on the hub")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        unwanted = ["*.bin"] if _has_safetensors(str(source), revision) else []
        return Path(
            snapshot_download(
                str(source), revision=revision, allow_patterns=list(_DECISIVE), ignore_patterns=unwanted
            )
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        at = f" at revision {revision}" if revision else ""
        raise InputError(
            f"{source}: is no folder, and the hub gives no such model{at} ({_first_line(error)}); "
            "check the name, the network and your token (HF_TOKEN)"
        ) from None


def _has_safetensors(name: str, revision: str | None) -> bool:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return any(file.endswith(".safetensors") for file in HfApi().list_repo_files(name, revision=revision))
    except (HfHubHTTPError, OSError):
        return True  # offline: whatever the cache holds


def files_fingerprint(path: str | Path) -> str:
    """Hash the files that decide a model's answers: weights, configuration, tokenizer.

    A file of the hub's cache is a link to a name that is its SHA-256 already, which is taken as it is.
    """
    path = Path(path)
    if path.is_file():
        return fingerprint(_content(path))
    files = sorted({file for pattern in _DECISIVE for file in path.glob(pattern)})
    return fingerprint(*(part for file in files for part in (file.name, _content(file))))


def _content(file: Path) -> str:
    target = file.resolve().name
    if file.is_symlink() and re.fullmatch(r"[0-9a-f]{64}", target):
        return target
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _number_format(dtype: str, device: torch.device) -> Any:
    """What transformers calls the format of the weights; ``auto`` there is the checkpoint's own."""
    if dtype != "auto":
        return getattr(torch, dtype)
    return torch.float32 if device.type == "cpu" else "auto"


def longest_input(model: Any, tokenizer: Any) -> int:
    """Tokens that a model reads at most: as its configuration says, else its tokenizer, else no limit."""
    config = model.config.get_text_config()
    for name in ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length"):
        if isinstance(found := getattr(config, name, None), int):
            return found
    told = getattr(tokenizer, "model_max_length", None)
    return told if isinstance(told, int) and told < 10**7 else _UNTOLD


def start_tokens(tokenizer: Any) -> tuple[int, ...]:
    """Tokens that the tokenizer puts before a text by itself."""
    with_special = tokenizer("a").input_ids
    without = tokenizer("a", add_special_tokens=False).input_ids
    for k in range(len(with_special) - len(without) + 1):
        if with_special[k : k + len(without)] == without:
            return tuple(with_special[:k])
    return ()
