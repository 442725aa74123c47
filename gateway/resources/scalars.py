"""What an unquoted word of YAML 1.2 means: text, a number, true, false or nothing.

Dates stay text, as in JSON. yes, no, on and off are text too (YAML 1.1 made them booleans), so they fail where a
boolean is wanted instead of being guessed at.
"""

from __future__ import annotations

import re

INTEGER = re.compile(r"[-+]?(?:0x[0-9a-fA-F]+|0o[0-7]+|[0-9]+)")
TAG = "tag:yaml.org,2002:"
BOOLEANS = {"true": True, "false": False}
NOTHING = ("", "~", "null", "Null", "NULL")


def scalar(tag: str, text: str) -> tuple[str | int | float | bool | None, str]:
    """(value, problem); a problem is empty when there is none. tag: what YAML's own rules, or its author, call it."""
    kind = tag.removeprefix(TAG)
    if kind in ("str", "timestamp", "value"):
        return text, ""
    if kind == "null" and text in NOTHING:
        return None, ""
    if kind == "bool" and text.lower() in BOOLEANS:
        return BOOLEANS[text.lower()], ""
    if kind in ("null", "bool"):
        return text, ""  # yes under %YAML 1.1, or !!bool yes: to guess false would leave a pool untranslated
    if kind == "int":
        return (integer(text), "") if INTEGER.fullmatch(text) else (text, "")
    if kind == "float":
        return number(text), ""
    return None, f"has the tag {tag}, which means nothing here; remove the tag"


def integer(text: str) -> int | str:
    plain = text.lstrip("+-")
    if len(plain) > 40:
        return text  # beyond any field's range; int() of a very long text is slow, and refused by Python
    base = 16 if plain.startswith("0x") else 8 if plain.startswith("0o") else 10
    return int(plain, base) * (-1 if text.startswith("-") else 1)


def number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text  # .inf and .nan: no field takes them
