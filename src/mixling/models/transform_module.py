"""Writes and reads a transform's sentence-transformers module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sentence_transformers.base.modules.module import Module

if TYPE_CHECKING:
    from typing import Self


class TransformModule(Module):
    """A module whose configuration are its `config_keys`, and whose tensors are safetensors."""

    def save(
        self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any
    ) -> None:
        """Write configuration and weights into a folder.

        Args:
            output_path: The folder.
            *args: Unused; sentence-transformers may pass them.
            safe_serialization: Write safetensors instead of a pickle.
            **kwargs: Unused; sentence-transformers may pass them.
        """
        self.save_config(output_path)
        self.save_torch_weights(output_path, safe_serialization=safe_serialization)

    @classmethod
    def load(
        cls,
        model_name_or_path: str,
        subfolder: str = "",
        token: bool | str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        init_defaults: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Read what `save` wrote. The parameters are those of sentence-transformers' `Module.load`.

        Args:
            model_name_or_path: The model's folder or hub name.
            subfolder: The module's folder inside the model's.
            token: A token of the hub.
            cache_folder: The hub's cache.
            revision: Revision of the model on the hub.
            local_files_only: Do not ask the hub.
            init_defaults: Unused, since `save` writes every parameter.
            **kwargs: Unused; sentence-transformers may pass them.

        Returns:
            The module.
        """
        hub: dict[str, Any] = {
            "token": token,
            "cache_folder": cache_folder,
            "revision": revision,
            "local_files_only": local_files_only,
        }
        module = cls(**cls.load_config(model_name_or_path, subfolder, **hub))
        cls.load_torch_weights(model_name_or_path, subfolder, model=module, **hub)
        return module
