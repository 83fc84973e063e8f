"""What the registry keeps of types and methods, so that tools can read and call what they do not import."""

from __future__ import annotations

from collections.abc import Iterable

from bus import schemas
from bus.errors import BusError
from bus.messages import MethodQuery, MethodRecord, Methods, TypeQuery, TypeRecord, Types


class TypeConflict(BusError):
    """Two programs mean different records by one type id."""

    def __init__(self, record: TypeRecord, process: str, before: str) -> None:
        super().__init__(
            f"{record.name} (type id {record.type_id:08x}) of {process} has another schema than that of {before}: "
            "a record within it differs; run one version everywhere, or give one of them another name"
        )
        self.record = record


class Catalogue:
    """Types stay as long as the run does, since its recordings hold them; methods go with their process."""

    def __init__(self) -> None:
        self._types: dict[int, TypeRecord] = {}
        self._meanings: dict[int, str] = {}
        self._tellers: dict[int, str] = {}
        self._methods: dict[int, tuple[MethodRecord, ...]] = {}

    def add(self, instance: int, process: str, types: Iterable[TypeRecord], methods: tuple[MethodRecord, ...]) -> None:
        """What a process tells of itself.

        Raises: TypeConflict: a type id has another schema already; nothing is added.
        """
        added = {record.type_id: record for record in types}
        meanings = {type_id: schemas.meaning(record) for type_id, record in added.items()}
        for type_id, record in added.items():
            if self._meanings.get(type_id, meanings[type_id]) != meanings[type_id]:
                raise TypeConflict(record, process, self._tellers[type_id])
        for type_id, record in added.items():
            self._types.setdefault(type_id, record)
            self._meanings.setdefault(type_id, meanings[type_id])
            self._tellers.setdefault(type_id, process)
        self._methods[instance] = methods

    def drop(self, instance: int) -> None:
        """That process is gone."""
        self._methods.pop(instance, None)

    def types(self, query: TypeQuery) -> Types:
        """The types asked for, by name."""
        everything = not query.names and not query.ids
        found = [t for t in self._types.values() if everything or t.name in query.names or t.type_id in query.ids]
        return Types(tuple(sorted(found, key=lambda record: (record.name, record.type_id))))

    def methods(self, query: MethodQuery) -> Methods:
        """What can be called, with its types."""
        found = [m for methods in self._methods.values() for m in methods if query.node in ("", m.node)]
        found.sort(key=lambda record: (record.node, record.method))
        ids = {type_id for record in found for type_id in (record.request, record.reply)}
        return Methods(tuple(found), tuple(self._types[type_id] for type_id in sorted(ids & self._types.keys())))
