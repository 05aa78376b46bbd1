"""A vision-language model in this process: transformers' image-text-to-text, from a folder, or by name when asked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...errors import FatalError
from ..asking.chat import ChatReply
from .chat_parts import chat_of
from .families import Family, family_of
from .vlm_processor import load_processor

_NO_HUB = "give the folder of a model, or --set caption.hub=true to download it by name"


class LocalVLM:
    """Answers chat-completions bodies by a model in this process, one at a time. Nothing leaves the machine.

    An answer asked for by a JSON schema is held to it while it is written. Code that comes with a model is never run,
    and weights are read from safetensors only.

    Args:
        model: The folder of a model as ``save_pretrained`` writes it; with ``hub`` also a name.
        hub: Whether a name may be looked up, and downloaded from, the hub.
        device: "auto", "cpu", "cuda" or "cuda:N".

    Raises:
        FatalError: There is no such model, or it is none that reads pictures and text.
    """

    def __init__(self, model: str | Path, *, hub: bool = False, device: str = "auto") -> None:
        from ...training.precision import choose_device

        self.name = str(model)
        if not self.name:
            raise FatalError("no model is named", "give --model FOLDER")
        if not hub and not Path(self.name).is_dir():
            raise FatalError(f"there is no folder {self.name}", _NO_HUB)
        self._device = choose_device(device)
        with _told_simply(self.name, hub):
            self._processor, self._model = _load(self.name, hub, self._device)
        self.family: Family = family_of(self._model.config.model_type, self.name)
        if not getattr(self._processor, "chat_template", None):
            raise FatalError(f"{self.name} has no chat template", "use the variant of the model that is made for chat")
        self._one_at_a_time = threading.Lock()
        self._tokens: Any = None

    async def complete(self, body: Mapping[str, Any]) -> ChatReply:
        """Returns the answer to one body: ``messages``, ``max_tokens``, ``temperature``, ``seed``, ``response_format``.

        Args:
            body: Of chat completions.

        Raises:
            RefusedError: A picture cannot be decoded.
            FatalError: The model does not fit into memory.
        """
        return await asyncio.to_thread(self.answer, body)

    def answer(self, body: Mapping[str, Any]) -> ChatReply:
        """Does the same as :meth:`complete`, in this thread.

        Args:
            body: Of chat completions.
        """
        import torch

        chat = chat_of(body, self.family.system)
        with self._one_at_a_time, torch.inference_mode():
            inputs = self._processor.apply_chat_template(
                chat, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
            ).to(self._device, dtype=self._model.dtype)
            length = int(inputs["input_ids"].shape[1])
            try:
                written = self._generate(inputs, body, length)[0, length:].tolist()
            except torch.OutOfMemoryError:
                raise FatalError(
                    f"{self.name} does not fit into memory", "use a smaller model or --device cpu"
                ) from None
        ended = bool(written) and written[-1] in self._ends()
        return ChatReply(
            content=self._processor.tokenizer.decode(written, skip_special_tokens=True),
            prompt_tokens=length,
            completion_tokens=len(written),
            model=Path(self.name).name,
            finish_reason="stop" if ended else "length",
        )

    def _generate(self, inputs: Any, body: Mapping[str, Any], length: int) -> Any:
        import torch

        temperature = float(body.get("temperature") or 0.0)
        sampling: dict[str, Any] = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        if temperature > 0:
            sampling = {"do_sample": True, "temperature": temperature, "top_p": 1.0, "top_k": 0}
        devices = [self._device] if self._device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(int(body.get("seed") or 0))
            return self._model.generate(
                **inputs,
                **sampling,
                max_new_tokens=int(body.get("max_tokens") or 300),
                logits_processor=self._held(body, length),
            )

    def _held(self, body: Mapping[str, Any], length: int) -> list[Any]:
        asked = body.get("response_format") or {}
        if asked.get("type") != "json_schema":
            return []
        from .held_to_schema import HeldToSchema, tokens_of

        if self._tokens is None:
            vocabulary = int(self._model.get_output_embeddings().weight.shape[0])
            self._tokens = tokens_of(self._processor.tokenizer, vocabulary)
        return [HeldToSchema(self._tokens, asked["json_schema"]["schema"], length)]

    def _ends(self) -> set[int]:
        ends = self._model.generation_config.eos_token_id
        return {*(ends if isinstance(ends, list) else [ends]), self._processor.tokenizer.eos_token_id}


def _load(name: str, hub: bool, device: Any) -> tuple[Any, Any]:
    import transformers

    library: Any = transformers  # untyped in parts
    logging = library.utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        processor = load_processor(name, hub=hub)
        model, loading = library.AutoModelForImageTextToText.from_pretrained(
            name,
            local_files_only=not hub,
            trust_remote_code=False,
            use_safetensors=True,
            dtype="auto",
            output_loading_info=True,
        )
    finally:
        if shown:
            logging.enable_progress_bar()
    if loading["missing_keys"]:  # the library would leave them random
        missing = f"{len(loading['missing_keys'])} weights, such as {min(loading['missing_keys'])}"
        raise FatalError(f"{name} lacks {missing}", "copy or download the model again")
    if not hasattr(processor, "image_processor"):
        raise FatalError(f"{name} does not read pictures", "name a vision-language model")
    return processor, model.eval().to(device)


@contextmanager
def _told_simply(name: str, hub: bool) -> Iterator[None]:
    """Whatever the library finds wrong with a model becomes one line."""
    from safetensors import SafetensorError

    try:
        yield
    except ImportError as error:
        what = str(error).strip().splitlines()[0]
        raise FatalError(f"{name} needs a package that is not there: {what}", "install it beside torch") from None
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        what = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]
        hint = "see that it is an image-text-to-text model" if hub or Path(name).is_dir() else _NO_HUB
        raise FatalError(f"{name} cannot be loaded: {what}", hint) from None
