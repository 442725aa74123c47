"""load(): everything the operator wrote, checked as a whole. Nothing comes out of it while anything is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .clashes import clashes, remarks
from .documents import Document, Reading, Trail
from .errors import ResourceError, ResourceErrors, listed, nearest
from .fields import said
from .kinds import KINDS
from .kinds.gateway import Gateway
from .resources import Resources
from .schema import Resource
from .wording import complaints

Written = str | Path | Mapping[str, Any] | Sequence[Mapping[str, Any] | Path]
Source = Written | Resources
LIST = "List"
TEXT = "<text>"  # what a caller in Python gave as a str


def load(source: Source, name: str = TEXT) -> Resources:
    """Resources from YAML or JSON text, Paths to files or folders, or dicts. Raises ResourceErrors with every mistake.

    name: what errors call a text, such as <stdin>.
    """
    if isinstance(source, Resources):
        return source
    reading = read(source, name)
    objects = [found for document in reading.documents for found in resources_in(document, reading.errors)]
    origin = str(source) if isinstance(source, Path) else name if isinstance(source, str) else "resources"
    errors = reading.errors + clashes(objects, origin, without_gateway(reading.errors))
    if errors:
        raise ResourceErrors(errors)
    loaded = Resources(tuple(objects))
    return Resources(loaded.objects, tuple(str(remark) for remark in remarks(loaded)))


def without_gateway(errors: list[ResourceError]) -> bool:
    """Whether none of the mistakes is in what may have been meant as the Gateway."""
    return all(error.kind and any(error.kind == kind.KIND for kind in KINDS) and error.kind != Gateway.KIND
               for error in errors)


def read(source: Written, name: str) -> Reading:
    reading = Reading([], [])
    if isinstance(source, Path):
        reading.read_path(source)
    elif isinstance(source, str):
        reading.read_text(source, name)
    elif isinstance(source, Mapping):
        reading.read_item(source, "resources[0]")
    elif isinstance(source, Sequence) and not isinstance(source, bytes):
        for index, one in enumerate(source):
            if isinstance(one, Path):
                reading.read_path(one)
            else:
                reading.read_item(one, f"resources[{index}]")
    else:
        raise TypeError(f"load() takes text, a Path, dicts or Resources, not {type(source).__name__}")
    return reading


def resources_in(document: Document, errors: list[ResourceError]) -> list[Resource]:
    """The objects of a document: one, or the items of a List (or IPPoolList, as calicoctl writes it)."""
    kind = document.text("kind")
    if not isinstance(document.value, dict) or "items" not in document.value or not kind.endswith(LIST):
        found = resource(document, errors)
        return [found] if found else []
    items = document.value["items"]
    if items is None:  # as Go's tools write an empty list
        return []
    if not isinstance(items, list):
        errors.append(document.error(("items",), f"must be a list, not {said(items)}; write one object a line with -"))
        return []
    below = [item(document, index, kind.removesuffix(LIST)) for index in range(len(items))]
    return [found for one in below for found in resources_in(one, errors)]


def item(document: Document, index: int, kind: str) -> Document:
    """One of a List's items. Those of a typed list may leave out what the list says."""
    value = document.value["items"][index]
    if kind and isinstance(value, dict):
        value = {"apiVersion": document.text("apiVersion"), "kind": kind} | value
    return Document(document.file, value, document.below(("items", index)))


def resource(document: Document, errors: list[ResourceError]) -> Resource | None:
    model = model_of(document, errors)
    if model is None:
        return None
    try:
        found = model.model_validate(document.value).placed(document)
    except ValidationError as caught:
        errors += complaints(model, document, caught)
        return None
    wrong = [document.error(problem.trail, problem.message) for problem in found.problems()]
    errors += wrong
    return None if wrong else found


def model_of(document: Document, errors: list[ResourceError]) -> type[Resource] | None:
    def wrong(trail: Trail, message: str) -> None:
        errors.append(document.error(trail, message))

    value = document.value
    known = sorted({kind.KIND for kind in KINDS})
    if not isinstance(value, dict):
        hint = " (a file name must be given as a Path)" if document.file == TEXT else ""
        wrong((), f"is {said(value)}, not a resource; write a mapping with apiVersion, kind, metadata and spec{hint}")
        return None
    if not isinstance(value.get("kind"), str):
        wrong(("kind",), f"is required; add one of {', '.join(known)}")
        return None
    kinds = [kind for kind in KINDS if value["kind"] == kind.KIND]
    if not kinds:
        wrong(("kind",), f"unknown kind {value['kind']!r}{nearest(value['kind'], known)}; known here: {listed(known)}")
        return None
    version = value.get("apiVersion")
    found = next((kind for kind in kinds if version in kind.VERSIONS), None)
    if found is None:
        versions = " or ".join(version for kind in kinds for version in kind.VERSIONS)
        wrong(("apiVersion",), f"is {said(version)}, which has no {value['kind']}; write {versions}"
              if "apiVersion" in value else f"is required; add apiVersion: {kinds[0].VERSIONS[0]}")
    return found
