"""The processor of a vision-language model, for pictures and text: also where videos could not be processed.

Some families' processors read videos too, by torchvision alone, and do not load where it is missing or broken. No video
is ever shown here, so such a processor is put together without that part.
"""

from __future__ import annotations

import functools
from typing import Any


def load_processor(name: str, *, hub: bool) -> Any:
    """Returns the processor of a model, with image processing by PIL.

    Args:
        name: Folder of the model; with ``hub`` also a name.
        hub: Whether it may be looked up and downloaded.

    Raises:
        ImportError: A package is missing that pictures or text need.
        OSError, ValueError: There is no such processor.
    """
    import transformers

    library: Any = transformers  # untyped in parts
    # Image processing by torchvision would be preferred where a broken torchvision lies about.
    where = {"local_files_only": not hub, "trust_remote_code": False}
    try:
        return library.AutoProcessor.from_pretrained(name, backend="pil", **where)
    except ImportError:
        kind = _processor_class(library.AutoConfig.from_pretrained(name, **where).model_type)
        if kind is None or "video_processor" not in kind.get_attributes():
            raise
    image_processor = library.AutoImageProcessor.from_pretrained(name, backend="pil", **where)
    tokenizer = library.AutoTokenizer.from_pretrained(name, **where)
    template = getattr(tokenizer, "chat_template", None)
    return _without_videos(kind)(image_processor, tokenizer, None, chat_template=template)


def _processor_class(model_type: str) -> Any:
    import transformers
    from transformers.models.auto import processing_auto

    names: Any = vars(processing_auto)["PROCESSOR_MAPPING_NAMES"]
    return getattr(transformers, names[model_type]) if model_type in names else None


@functools.cache
def _without_videos(kind: Any) -> Any:
    def check(self: Any, argument_name: str, argument: Any) -> Any:
        if argument_name == "video_processor":
            return type(None)
        return kind.check_argument_for_proper_class(self, argument_name, argument)

    return type(kind.__name__, (kind,), {"check_argument_for_proper_class": check})
