"""Text to plain values that remember where each key and value stood.

Works on YAML's node graph, not on a loaded document: marks are exact, every duplicate key is found, and aliases
that would expand without end are refused. JSON is read as the YAML it is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from .errors import ResourceError
from .scalars import scalar

Trail = tuple[str | int, ...]  # ("spec", "addresses", 1)
MERGE = "tag:yaml.org,2002:merge"
SUFFIXES = (".yaml", ".yml", ".json")
LARGEST = 64 << 20  # bytes of a file: more than any set of resources has. /dev/zero has no end
DEEPEST = 64  # levels of nesting
MOST_VALUES = 2_000_000  # of one document with its aliases expanded: a few hundred bytes of YAML can ask for billions


@dataclass(frozen=True)
class Document:
    """One resource as written. node: None when it was given as a dict."""

    file: str
    value: Any
    node: Node | None = None

    def place(self, trail: Trail, key: bool = False) -> tuple[int, int]:
        """Line and column of the value at `trail`, or of its key; of the nearest thing around it that is there."""
        found = at = self.node
        for step in trail:
            at, marked = descend(at, step)
            if at is None:
                break
            found = marked if key and step is trail[-1] else at
        return mark(found) if found is not None else (0, 0)

    def below(self, trail: Trail) -> Node | None:
        """The node at `trail`."""
        at = self.node
        for step in trail:
            at, _ = descend(at, step)
        return at

    def text(self, key: str, inner: str = "") -> str:
        """A text near the top, for error messages: of "kind", or of "metadata", "name"."""
        found = self.value.get(key) if isinstance(self.value, dict) else None
        found = found.get(inner) if inner and isinstance(found, dict) else found
        return found if isinstance(found, str) else ""

    def error(self, trail: Trail, message: str, key: bool = False, at: Node | None = None) -> ResourceError:
        """A mistake at `trail`, or at a node of the document."""
        line, column = mark(at) if at else self.place(trail, key)
        return ResourceError(self.file, line, column, self.text("kind"), self.text("metadata", "name"),
                             field_path(trail), message)


def field_path(trail: Trail) -> str:
    """ "spec.addresses[1]" """
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in trail).lstrip(".")


def mark(node: Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def descend(node: Node | None, step: str | int) -> tuple[Node | None, Node | None]:
    """The value one step below, and what marks it: its key, or itself in a list."""
    if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    if isinstance(node, MappingNode):
        for key, value in pairs(node):
            if isinstance(key, ScalarNode) and key.value == step:
                return value, key
    return None, None


def pairs(node: MappingNode) -> Iterator[tuple[Node, Node]]:
    """A mapping's own keys first, then what it merges with <<."""
    merged: list[Node] = []
    for key, value in node.value:
        if key.tag == MERGE:
            merged += value.value if isinstance(value, SequenceNode) else [value]
        else:
            yield key, value
    own = {key.value for key, _ in node.value if isinstance(key, ScalarNode)}
    for source in merged:
        for key, value in source.value if isinstance(source, MappingNode) else ():
            if isinstance(key, ScalarNode) and key.value not in own and key.tag != MERGE:
                own.add(key.value)
                yield key, value


@dataclass
class Reading:
    """Documents and mistakes found so far."""

    documents: list[Document]
    errors: list[ResourceError]

    def read_path(self, path: Path) -> None:
        """A file, or the YAML and JSON files right in a folder, by name."""
        if not path.is_dir():
            return self.read_file(path)
        files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES and file.is_file())
        if not files:
            self.fail(str(path), 0, 0, f"no file here ends in {', '.join(SUFFIXES)}; put the resources in one")
        for file in files:
            self.read_file(file)

    def read_file(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                written = file.read(LARGEST + 1)
            text = written.decode("utf-8-sig")
        except OSError as error:
            return self.fail(str(path), 0, 0, f"cannot be read: {error.strerror}; check the path and its permissions")
        except UnicodeDecodeError as error:
            return self.fail(str(path), 0, 0, f"is not UTF-8 text (byte {error.start}); save it as UTF-8")
        if len(written) > LARGEST:
            return self.fail(str(path), 0, 0, f"is larger than {LARGEST >> 20} MiB; name a file of resources")
        self.read_text(text, str(path))

    def read_text(self, text: str, file: str) -> None:
        text = text.removeprefix("\ufeff")
        try:
            for node in YAML(typ="safe", pure=True).compose_all(without_tabs(text)):
                self.add_node(node, file)
        except RecursionError:
            self.fail(file, 0, 0, f"is nested deeper than {DEEPEST} levels; no resource is")
        except YAMLError as error:
            self.fail(file, *syntax(error, text))

    def add_node(self, node: Node | None, file: str) -> None:
        if node is None or node.tag == "tag:yaml.org,2002:null":
            return
        if isinstance(node, SequenceNode):
            for item in node.value:
                self.add_node(item, file)
            return
        plain = Plain()
        document = Document(file, plain.value(node, (), 0), node)
        self.errors += [document.error(trail, message, at=at) for at, trail, message in plain.problems]
        self.documents.append(document)

    def read_item(self, item: Any, file: str) -> None:
        """A resource given as Python values."""
        self.documents.append(Document(file, own_copy(item)))

    def fail(self, file: str, line: int, column: int, message: str) -> None:
        self.errors.append(ResourceError(file, line, column, "", "", "", message))


class Plain:
    """Turns nodes into plain Python values, collecting what cannot be turned."""

    def __init__(self) -> None:
        self.problems: list[tuple[Node, Trail, str]] = []
        self.left = MOST_VALUES

    def value(self, node: Node, trail: Trail, depth: int) -> Any:
        self.left -= 1
        if depth > DEEPEST or self.left < 0:
            if self.left >= -1:
                self.problems.append((node, trail, "is too deep or, with its aliases expanded, too large; write less"))
            return None
        if isinstance(node, MappingNode):
            return self.mapping(node, trail, depth)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*trail, index), depth + 1) for index, item in enumerate(node.value)]
        value, problem = scalar(node.tag or "", str(node.value))
        if problem:
            self.problems.append((node, trail, problem))
        return value

    def mapping(self, node: MappingNode, trail: Trail, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, value in pairs(node):
            if not isinstance(key, ScalarNode):
                self.problems.append((key, trail, "a key must be text"))
            elif key.value in result:
                self.problems.append((key, (*trail, key.value), "is here twice; remove one of the two"))
            else:
                result[key.value] = self.value(value, (*trail, key.value), depth + 1)
        return result


def own_copy(value: Any) -> Any:
    """Our own copy of Python values: a later change by the caller must not reach loaded resources."""
    if isinstance(value, Mapping):
        return {key: own_copy(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [own_copy(inner) for inner in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def without_tabs(text: str) -> str:
    """JSON may be indented with tabs, YAML may not. A string in JSON holds none, so columns and meaning stay."""
    if "\t" not in text or text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text.replace("\t", " ")


def syntax(error: YAMLError, text: str) -> tuple[int, int, str]:
    """Line, column and words of a YAML syntax error."""
    if isinstance(error, MarkedYAMLError):
        at = error.problem_mark or error.context_mark
        words = ", ".join(part for part in (error.context, error.problem) if part)
        line, column = (at.line + 1, at.column + 1) if at else (0, 0)
        return line, column, f"is not valid YAML here: {words}"
    if isinstance(error, ReaderError):
        before = text[:error.position]
        return before.count("\n") + 1, len(before) - before.rfind("\n"), "has a character here that YAML does not allow"
    return 0, 0, f"is not valid YAML: {error}"
