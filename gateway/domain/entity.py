"""What state is made of: frozen entities with an id, found by a few indexed fields."""

from typing import ClassVar, Protocol


class Entity(Protocol):
    """A frozen value with an id. `kind` names its rows; `indexed` the fields it is found by.

    An indexed field that holds a tuple is found by each of its members.
    """

    kind: ClassVar[str]
    indexed: ClassVar[tuple[str, ...]]

    @property
    def id(self) -> str:
        """Unique within its kind."""
        ...
