"""Pydantic's complaints in words for people: what is wrong there, and what to write instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from .documents import Document, Trail
from .errors import ResourceError, listed, nearest
from .fields import said
from .schema import Section

BOUNDS = {"greater_than_equal": ("ge", "at least"), "greater_than": ("gt", "more than"),
          "less_than_equal": ("le", "at most"), "less_than": ("lt", "less than")}

LONG_NUMBER = re.compile(r"[-+]?[0-9]{20,}", re.ASCII)  # scalars.integer leaves those beyond 40 digits as text


def complaints(model: type[Section], document: Document, caught: ValidationError) -> list[ResourceError]:
    """One ResourceError for each mistake pydantic found."""
    found = []
    for detail in caught.errors(include_url=False):
        trail = tuple(detail["loc"])
        unknown = detail["type"] == "extra_forbidden"
        if detail["type"] == "missing" and len(trail) > 1 and covered(trail, caught):
            continue
        message = unknown_field(model, trail) if unknown else words(detail)
        found.append(document.error(trail, message, key=unknown))
    return found


def covered(trail: Trail, caught: ValidationError) -> bool:
    """A misspelt field is one mistake, not two: the missing field next to it is not reported as well."""
    missing = str(trail[-1])
    return any(detail["type"] == "extra_forbidden" and detail["loc"][:-1] == trail[:-1]
               and nearest(str(detail["loc"][-1]), [missing]) for detail in caught.errors(include_url=False))


def unknown_field(model: type[Section], trail: Trail) -> str:
    section = model.section_at(trail[:-1])
    valid = section.suggestions() if section else []
    if not isinstance(trail[-1], str):
        return f"unknown field {trail[-1]!r}; field names are text"
    close = nearest(trail[-1], valid)
    if close or not valid:
        return f"unknown field{close}"
    return f"unknown field; remove it. Valid here: {listed(valid)}" if len(valid) < 30 else "unknown field; remove it"


def words(detail: Mapping[str, Any]) -> str:
    kind, given = detail["type"], detail["input"]
    if kind in BOUNDS:
        key, bound = BOUNDS[kind]
        return f"must be {bound} {detail['ctx'][key]}, not {given}; write a number in that range"
    return TEXTS.get(kind, other)(given, detail)


def choice(given: Any, detail: Mapping[str, Any]) -> str:
    valid = [word.strip().strip("'") for word in str(detail["ctx"]["expected"]).replace(" or ", ", ").split(",")]
    if not isinstance(given, str):
        return f"must be one of {', '.join(valid)}, not {said(given)}; write one of them as text"
    instead = nearest(given, valid) or "; choose one"
    return f"must be one of {', '.join(valid)}, exactly as written here, not {given!r}{instead}"


def boolean(given: Any, _detail: Mapping[str, Any]) -> str:
    if isinstance(given, str) and given.lower() in ("true", "yes", "on", "y"):
        return f"must be true or false, not the text {given!r}; write true, without quotes"
    if isinstance(given, str) and given.lower() in ("false", "no", "off", "n"):
        return f"must be true or false, not the text {given!r}; write false, without quotes"
    return f"must be true or false, not {said(given)}; write one of the two, without quotes"


def whole(given: Any, _detail: Mapping[str, Any]) -> str:
    if isinstance(given, str) and LONG_NUMBER.fullmatch(given):
        return f"is a number of {len(given.lstrip('+-'))} digits, more than is possible here; write a smaller one"
    if isinstance(given, str) and given.lstrip("-").isdigit():
        return f"must be a whole number, not the text {given!r}; write {given}, without quotes"
    return f"must be a whole number, not {said(given)}; write digits only, without quotes"


def string(given: Any, _detail: Mapping[str, Any]) -> str:
    quoted = f'; write "{said(given).removeprefix("the number ")}", in quotes' if isinstance(given, int | float) else ""
    return f"must be text, not {said(given)}{quoted or '; write text'}"


def other(_given: Any, detail: Mapping[str, Any]) -> str:
    return str(detail["msg"])


TEXTS: dict[str, Callable[[Any, Mapping[str, Any]], str]] = {
    "value_error": lambda _given, detail: str(detail["ctx"]["error"]),
    "missing": lambda _given, _detail: "is required; add it",
    "literal_error": choice,
    "bool_type": boolean,
    "bool_parsing": boolean,
    "int_type": whole,
    "int_from_float": whole,
    "string_type": string,
    "list_type": lambda given, _detail: f"must be a list, not {said(given)}; write [one, two] or a - for each",
    "dict_type": lambda given, _detail: f"must be a mapping, not {said(given)}; write key: value below it",
    "model_type": lambda given, _detail: f"must be a mapping, not {said(given)}; write its fields below it",
    "string_too_short": lambda _given, _detail: "is empty; write some text, or leave the field out",
    "too_long": lambda given, detail: f"has {detail['ctx']['actual_length']} entries; at most "
                                      f"{detail['ctx']['max_length']} are possible, remove some",
}
