"""What a recipe is: the resources that it needs, and the attack that it makes of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import ClassVar

from kdlab.attacks.attempt import Attack
from kdlab.attacks.kit import Kit


class Recipe(ABC):
    """An attack by name.

    One's own, by ``--recipe path/to/file.py:Class``, is a subclass; what it needs is loaded for it, and nothing else.
    """

    name: ClassVar[str] = ""
    """As tables and folders have it; the class's name in small letters unless given."""
    needs: ClassVar[Collection[str]] = ()
    """Kinds of resources: names of ``kdlab.attacks.kit``."""

    @abstractmethod
    def build(self, kit: Kit) -> Attack:
        """The composition.

        Args:
            kit: What was asked for by ``needs``.
        """
