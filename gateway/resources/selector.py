"""Calico's label selectors: text to a small program over labels, and back to canonical text.

    or   := and ("||" and)*          and := op ("&&" op)*
    op   := "!"* (test | has(label) | all() | global() | "(" or ")")
    test := label (== | != | contains | starts with | ends with) string
          | label (in | not in) "{" [string ("," string)* [","]] "}"

The program is postfix and is parsed, evaluated and printed with an explicit stack: selectors have no limit on
nesting in Calico, and hostile nesting must not reach Python's recursion limit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

SPACE = re.compile(r"[ \t]*")  # Calico's: a line break is an error
LABEL = re.compile(r"[A-Za-z0-9_./-]+")
LABEL_MAX = 512
OPERATOR = re.compile(r"(contains)|(starts)[ \t]*with|(ends)[ \t]*with|(not)[ \t]*in|(in)")
CALL = re.compile(r"(has|all|global)\([ \t]*")
STRING = re.compile(r"\"([^\"]*)\"|'([^']*)'")
NAMES = {"contains": "contains", "starts": "starts with", "ends": "ends with", "not": "not in", "in": "in"}
NEEDS_OPERATOR = "a label must be followed by ==, !=, in, not in, contains, starts with or ends with"
PUNCTUATION = ("==", "!=", "&&", "||", "!", "(", ")", "{", "}", ",")


class SelectorError(ValueError):
    """A selector that Calico would not accept. `position` counts characters from 0."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(f"{message} (character {position + 1})")
        self.position = position


@dataclass(frozen=True)
class Term:
    """What one label must be. operator: "has", "all", "global", "==", "in", ...; values: sorted, each once."""

    operator: str
    label: str = ""
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        return TESTS[self.operator](labels.get(self.label), self.values)

    def __str__(self) -> str:
        if self.operator in ("all", "global", "has"):
            return f"{self.operator}({self.label})"
        quoted = [f"'{value}'" if '"' in value else f'"{value}"' for value in self.values]
        operand = "{" + ", ".join(quoted) + "}" if self.operator in ("in", "not in") else quoted[0]
        return f"{self.label} {self.operator} {operand}"


# An absent label (None) satisfies != and not in, never the others.
TESTS: dict[str, Callable[[str | None, tuple[str, ...]], bool]] = {
    "all": lambda _value, _values: True,
    "global": lambda _value, _values: True,
    "has": lambda value, _values: value is not None,
    "==": lambda value, values: value == values[0],
    "!=": lambda value, values: value != values[0],
    "contains": lambda value, values: value is not None and values[0] in value,
    "starts with": lambda value, values: value is not None and value.startswith(values[0]),
    "ends with": lambda value, values: value is not None and value.endswith(values[0]),
    "in": lambda value, values: value in values,
    "not in": lambda value, values: value not in values,
}


@dataclass(frozen=True)
class Join:
    """Takes `count` results off the stack: "!" of one, "&&" or "||" of two or more."""

    operator: str
    count: int


@dataclass(frozen=True)
class Selector:
    """A parsed selector. Two selectors with the same canonical text are equal."""

    program: tuple[Term | Join, ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        stack: list[bool] = []
        for step in self.program:
            if isinstance(step, Term):
                stack.append(step.holds(labels))
                continue
            operands = stack[-step.count:]
            del stack[-step.count:]
            stack.append(not operands[0] if step.operator == "!" else (all if step.operator == "&&" else any)(operands))
        return stack[0]

    def labels(self) -> frozenset[str]:
        """The labels the answer depends on."""
        return frozenset(step.label for step in self.program if isinstance(step, Term) and step.label)

    def __str__(self) -> str:
        stack: list[str] = []
        for step in self.program:
            if isinstance(step, Term):
                stack.append(str(step))
                continue
            operands = stack[-step.count:]
            del stack[-step.count:]
            joined = f" {step.operator} ".join(operands)
            stack.append(f"!{joined}" if step.operator == "!" else f"({joined})")
        return stack[0]


ALL = Selector((Term("all"),))
Token = tuple[str, str, int]  # kind (punctuation itself, "label", "string", "has", "end", ...), text, position


def parse(text: str) -> Selector:
    """The selector that a text says. Empty or blank: all(). Raises SelectorError."""
    tokens = list(tokenize(text))
    return ALL if len(tokens) == 1 else Parser(tokens).parse()


def tokenize(text: str) -> Iterator[Token]:
    at, after_label = 0, False
    while True:
        at = skip_space(text, at)
        if at == len(text):
            yield "end", "", at
            return
        kind, value, end = next_token(text, at, after_label)
        yield kind, value, at
        at, after_label = end, kind == "label"


def skip_space(text: str, at: int) -> int:
    found = SPACE.match(text, at)
    return found.end() if found else at


def next_token(text: str, at: int, after_label: bool) -> tuple[str, str, int]:
    for mark in PUNCTUATION:
        if text.startswith(mark, at):
            return mark, "", at + len(mark)
    if text[at] in "\"'":
        found = STRING.match(text, at)
        if not found:
            raise SelectorError("the string that begins here has no closing quote", at)
        return "string", found[0][1:-1], found.end()
    if text[at] in "=&|":
        raise SelectorError(f"a single {text[at]} means nothing; write {text[at] * 2}", at)
    if after_label:  # only here are contains, in and the like words of the language
        found = OPERATOR.match(text, at)
        if not found:
            raise SelectorError(NEEDS_OPERATOR, at)
        return NAMES[found[found.lastindex or 0]], "", found.end()
    return named_token(text, at)


def named_token(text: str, at: int) -> tuple[str, str, int]:
    call, label = CALL.match(text, at), LABEL.match(text, at)
    if call:
        return called_token(text, call)
    if not label:
        raise SelectorError(f"unexpected character {text[at]!r}", at)
    return "label", bounded(label), label.end()


def bounded(label: re.Match[str]) -> str:
    """A label's name, whole: what is too long is no shorter name with an operator behind it."""
    if len(label[0]) > LABEL_MAX:
        raise SelectorError(f"a label name has at most {LABEL_MAX} characters, not {len(label[0])}", label.start())
    return label[0]


def called_token(text: str, call: re.Match[str]) -> tuple[str, str, int]:
    name, end, label = call[1], call.end(), None
    if name == "has":
        label = LABEL.match(text, end)
        if not label:
            raise SelectorError("has( needs a label name", end)
        end = label.end()
    end = skip_space(text, end)
    if not text.startswith(")", end):
        raise SelectorError(f"{name}( needs a closing )", end)
    return name, bounded(label) if label else "", end + 1


@dataclass
class Level:
    """What is open between a "(" and its ")": how many operands its || and the current && have so far."""

    ors: int = 0
    ands: int = 0
    negated: bool = False  # of the operand that comes next


class Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.program: list[Term | Join] = []
        self.levels = [Level()]

    def parse(self) -> Selector:
        while True:
            self.operand()
            while self.peek() == ")" and len(self.levels) > 1:
                self.at += 1
                self.close()
            kind = self.peek()
            if kind == "end" and len(self.levels) == 1:
                break
            if kind not in ("&&", "||"):
                raise self.error("expected ) before the end" if kind == "end" else "expected && or || here")
            self.at += 1
            if kind == "||":
                self.end_and()
        self.end_or()
        return Selector(tuple(self.program))

    def operand(self) -> None:
        """One test, or as many "!" and "(" as open before it."""
        while True:
            kind, _, _ = self.tokens[self.at]
            if kind == "!":
                self.levels[-1].negated ^= True
            elif kind == "(":
                self.levels.append(Level())
            else:
                break
            self.at += 1
        self.program.append(self.test())
        self.count()

    def count(self) -> None:
        """Books the operand just completed, negating it if a ! stood before it.

        Calico prints !(!a) as "!!a" and reads that as "a"; here both are "a", so that the text is canonical.
        """
        level = self.levels[-1]
        if level.negated and isinstance(self.program[-1], Join) and self.program[-1].operator == "!":
            self.program.pop()
        elif level.negated:
            self.program.append(Join("!", 1))
        level.negated = False
        level.ands += 1

    def end_and(self) -> None:
        level = self.levels[-1]
        if level.ands > 1:
            self.program.append(Join("&&", level.ands))
        level.ands, level.ors = 0, level.ors + 1

    def end_or(self) -> None:
        self.end_and()
        if self.levels[-1].ors > 1:
            self.program.append(Join("||", self.levels[-1].ors))

    def close(self) -> None:
        self.end_or()
        self.levels.pop()
        self.count()

    def test(self) -> Term:
        kind, text, _ = self.take()
        if kind in ("has", "all", "global"):
            return Term(kind, text)
        if kind != "label":
            self.at -= 1
            raise self.error("expected a label, has(), all() or (")
        operator = self.peek()
        if operator not in TESTS:
            raise self.error(NEEDS_OPERATOR)
        self.at += 1
        if operator in ("in", "not in"):
            return Term(operator, text, self.string_set())
        return Term(operator, text, (self.string(),))

    def string(self) -> str:
        if self.peek() != "string":
            raise self.error("expected a string in quotes")
        return self.take()[1]

    def string_set(self) -> tuple[str, ...]:
        if self.peek() != "{":
            raise self.error('expected a set of strings, such as {"a", "b"}')
        self.at += 1
        values: set[str] = set()
        while self.peek() == "string":
            values.add(self.take()[1])
            if self.peek() != ",":
                break
            self.at += 1
        if self.peek() != "}":
            raise self.error("expected }")
        self.at += 1
        return tuple(sorted(values))

    def peek(self) -> str:
        return self.tokens[self.at][0]

    def take(self) -> Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def error(self, message: str) -> SelectorError:
        return SelectorError(message, self.tokens[self.at][2])
