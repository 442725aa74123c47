"""What every kind is made of: strict sections with Calico's field names, metadata, and a check of its own.

A new kind is one file in `kinds`: a subclass of Resource with its spec, and its line in `kinds.KINDS`.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, ClassVar, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator
from pydantic.alias_generators import to_camel

from .documents import Document, Trail
from .errors import ResourceError
from .fields import NameField

CALICO = ("projectcalico.org/v3", "crd.projectcalico.org/v1")  # the second is what a dump of the cluster holds


class Problem(NamedTuple):
    """Something wrong, or worth a note, at a field."""

    trail: Trail
    message: str


class Section(BaseModel):
    """A mapping of known fields, camelCase as in Kubernetes. An empty value (null) is a field not given."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel,
                              arbitrary_types_allowed=True)

    @model_validator(mode="before")
    @classmethod
    def without_nulls(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        known = cls.field_names()
        return {key: value for key, value in data.items() if value is not None or key not in known}

    @classmethod
    def field_names(cls) -> dict[str, str]:
        """Names as written to attribute names."""
        return {info.alias or name: name for name, info in cls.model_fields.items()}

    @classmethod
    def suggestions(cls) -> list[str]:
        """What a misspelt field may have meant."""
        return sorted(cls.field_names())

    @classmethod
    def section_at(cls, trail: Trail) -> type[Section] | None:
        """The section that a trail below this one leads to."""
        if not trail:
            return cls
        if isinstance(trail[0], int):
            return cls.section_at(trail[1:])
        name = cls.field_names().get(trail[0])
        inner = section_in(cls.model_fields[name].annotation) if name else None
        return inner.section_at(trail[1:]) if inner else None


def section_in(annotation: Any) -> type[Section] | None:
    """The section inside Optional, list or Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    if get_origin(annotation) in (list, tuple, Union, UnionType, Annotated):
        return next((found for inner in get_args(annotation) if (found := section_in(inner))), None)
    return None


class Metadata(Section):
    """Kubernetes' own fields beside name, namespace, labels and annotations are accepted and not looked at."""

    name: NameField
    namespace: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    uid: Any = None
    resource_version: Any = None
    generation: Any = None
    generate_name: Any = None
    creation_timestamp: Any = None
    deletion_timestamp: Any = None
    deletion_grace_period_seconds: Any = None
    self_link: Any = None
    finalizers: Any = None
    managed_fields: Any = None
    owner_references: Any = None
    cluster_name: Any = None


class Resource(Section):
    """One object. Subclasses add `spec`."""

    KIND: ClassVar[str]
    VERSIONS: ClassVar[tuple[str, ...]]

    api_version: str
    kind: str
    metadata: Metadata
    status: Any = Field(default=None, repr=False)
    _document: Document = PrivateAttr(default=Document("", None))

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def document(self) -> Document:
        return self._document

    def problems(self) -> Iterator[Problem]:
        """What fields say together and must not."""
        return iter(())

    def remarks(self) -> Iterator[Problem]:
        """What is accepted, but not as its author may think."""
        return iter(())

    def error(self, *trail: str | int, message: str) -> ResourceError:
        return self._document.error(trail, message)

    def placed(self, document: Document) -> Resource:
        self._document = document
        return self
