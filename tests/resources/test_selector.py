"""Selectors: Calico's grammar, its canonical text, and what it refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.resources.selector import ALL, Join, Selector, SelectorError, Term, parse

MATCHES = [
    ('a == "b"', {"a": "b", "c": "d"}, {"a": "c"}),
    ("a == 'b'", {"a": "b"}, {}),
    ('a != "b"', {}, {"a": "b"}),
    ('a contains "b"', {"a": "abc"}, {}),
    ('a starts with "ab"', {"a": "abc"}, {"a": "cab"}),
    ('a ends with "bc"', {"a": "abc"}, {"a": "bca"}),
    ("a startswith 'x'", {"a": "xy"}, {}),
    ("a endswith 'x'", {"a": "yx"}, {}),
    ("a starts \t with 'x'", {"a": "xy"}, {}),
    ("a contains''", {"a": ""}, {}),
    ("a in {'x', 'y',}", {"a": "y"}, {}),
    ("a in{'x'}", {"a": "x"}, {"a": "y"}),
    ("a in {}", None, {"a": ""}),
    ("a not in {}", {}, None),
    ("a notin {'x'}", {}, {"a": "x"}),
    ("a not \t in {'x'}", {"a": "y"}, {"a": "x"}),
    ("!a in {'x'}", {}, {"a": "x"}),
    ("has(a)", {"a": ""}, {}),
    ("has( a\t)", {"a": ""}, {"b": ""}),
    ("!has(a)", {}, {"a": ""}),
    ("!! ! has(a)", {}, {"a": ""}),
    ("all()", {}, None),
    ("all( )", {}, None),
    ("global()", {}, None),
    ("", {}, None),
    (" \t", {}, None),
    ("a == 'x' || b == 'y' && c == 'z'", {"a": "x"}, {"b": "y"}),
    ("(a == 'x' || b == 'y') && c == 'z'", {"a": "x", "c": "z"}, {"a": "x"}),
    ("!(!has(a) || has(b))", {"a": ""}, {"a": "", "b": ""}),
    ("! a == 'x' || ! b == 'y'", {"a": "x"}, {"a": "x", "b": "y"}),
    ("in == 'x' && contains != 'y' && has == 'z'", {"in": "x", "has": "z"}, {"in": "x"}),
    ("contains contains 'x'", {"contains": "x"}, {}),
    ("has in {'x'}", {"has": "x"}, {}),
    ("projectcalico.org/name_1-x == 'n'", {"projectcalico.org/name_1-x": "n"}, {}),
    ("a == 'line\nbreak'", {"a": "line\nbreak"}, {}),
    ("a == 'é'", {"a": "é"}, {}),
]
ERRORS = [
    "b == b", "b contains b", "b starts with b", "b ends with b", "'b1' == b", "b", "a b", "!", 'foo == "bar" &',
    'foo == "bar" |', "foo != ||", 'foo in {"", ||', 'foo in ""', '"FOO', "\"FOO'", "'FOO", "(", '(a == "foo"', ")",
    "()", "%", 'a == "b" && %', 'a == "b" || %', "a ", "has(foo) &&", "has (a)", "all ()", "global ()", "has()",
    "has(a", "has(a b)", "has('a')", "all(", "all(a)", "global(x)", "label = 'x'", "a in {,}", "a in {'x',,}",
    "a in {'x' 'y'}", "a in {'x'", "a in 'x'", "a not {'x'}", "a starts 'x'", "a ends 'x'", "a == 'x' b == 'y'",
    "a == 'x')", "has(a)\n", "a\n== 'x'", "a\u00a0== 'x'", "é == 'x'", "a == 'x' and b == 'y'", "a === 'x'",
    "a == \"it's\" \"", "&& has(a)", "has(a) || ", "a != {'x'}", "ab" * 257 + " == 'x'", "has(" + "a" * 513 + ")",
    "a == \\'x\\'", "allx()", "all", "a == 'x' !", "has(a)has(b)",
]
CANONICAL = [
    ("", "all()"),
    (" all() ", "all()"),
    (" (all() )", "all()"),
    ("! (has( b)||! has(a ))", "!(has(b) || !has(a))"),
    ('! (a == "b"&&! c != "d")', '!(a == "b" && !c != "d")'),
    ("a == \"'\"", "a == \"'\""),
    ("a == '\"'", "a == '\"'"),
    ("a startswith '\"'", "a starts with '\"'"),
    ("a endswith \"'\"", "a ends with \"'\""),
    ("a notin {'x'}", 'a not in {"x"}'),
    ('a in {"z", "z", "x", "y", "x", "a",}', 'a in {"a", "x", "y", "z"}'),
    ("a in {'\"', \"'\"}", "a in {'\"', \"'\"}"),
    ("a in {}", "a in {}"),
    ("!(k == 'v')", '!k == "v"'),
    ("!(!(k == 'v' && has(t) || all()) && (a in {'c'}))", '!(!((k == "v" && has(t)) || all()) && a in {"c"})'),
    ("a=='x'&&b=='y'&&c=='z'", '(a == "x" && b == "y" && c == "z")'),
    ("(has(a) && has(b)) && has(c)", "((has(a) && has(b)) && has(c))"),
    ("!!has(a)", "has(a)"),
    ("!(!has(a))", "has(a)"),
]


@pytest.mark.parametrize(("text", "matching", "other"), MATCHES)
def test_what_a_selector_matches(text: str, matching: dict[str, str] | None, other: dict[str, str] | None) -> None:
    for selector in (parse(text), parse(str(parse(text)))):
        assert matching is None or selector.matches(matching)
        assert other is None or not selector.matches(other)


@pytest.mark.parametrize("text", ERRORS)
def test_what_is_no_selector(text: str) -> None:
    with pytest.raises(SelectorError):
        parse(text)


@pytest.mark.parametrize(("text", "canonical"), CANONICAL)
def test_canonical_text(text: str, canonical: str) -> None:
    assert str(parse(text)) == canonical
    assert str(parse(canonical)) == canonical


def test_an_error_says_what_and_where() -> None:
    with pytest.raises(SelectorError, match=r"write == \(character 7\)") as caught:
        parse("label = 'value'")
    assert caught.value.position == 6


def test_a_label_of_512_characters_is_the_longest() -> None:
    name = "a" * 512
    assert parse(f"{name} == 'x' && has({name})").matches({name: "x"})


@pytest.mark.parametrize("operator", ["in {'x'}", "notin {'x'}", "contains 'x'", "startswith 'x'", "ends with 'x'"])
def test_a_longer_label_is_not_a_shorter_one_with_an_operator_behind_it(operator: str) -> None:
    with pytest.raises(SelectorError, match="at most 512 characters"):
        parse("a" * 512 + operator)
    with pytest.raises(SelectorError, match="at most 512 characters"):
        parse("has(" + "a" * 513 + ")")


def test_any_depth_of_nesting() -> None:
    assert parse("(" * 50_000 + "has(a)" + ")" * 50_000) == parse("has(a)")
    deep = "has(a)"
    for _ in range(1000):
        deep = f"!({deep} && has(b))"
    assert parse(str(parse(deep))) == parse(deep)


def test_the_labels_it_depends_on() -> None:
    assert parse("has(a) && b == 'x' || all()").labels() == {"a", "b"}


names = st.from_regex(r"[A-Za-z0-9_./-]{1,8}", fullmatch=True)
values = st.text(max_size=5).filter(lambda value: not ('"' in value and "'" in value))


def one(value: str) -> tuple[str, ...]:
    return (value,)


terms = st.one_of(
    st.builds(Term, st.just("has"), names),
    st.builds(Term, st.sampled_from(["all", "global"])),
    st.builds(Term, st.sampled_from(["==", "!=", "contains", "starts with", "ends with"]), names, values.map(one)),
    st.builds(Term, st.sampled_from(["in", "not in"]), names, st.sets(values, max_size=3).map(sorted).map(tuple)),
).map(lambda term: (term,))


def combine(parts: st.SearchStrategy[tuple[Term | Join, ...]]) -> st.SearchStrategy[tuple[Term | Join, ...]]:
    several = st.tuples(st.sampled_from(["&&", "||"]), st.lists(parts, min_size=2, max_size=4))
    joined = several.map(lambda drawn: (*(step for part in drawn[1] for step in part), Join(drawn[0], len(drawn[1]))))
    negated = parts.filter(lambda part: part[-1] != Join("!", 1)).map(lambda part: (*part, Join("!", 1)))
    return joined | negated


selectors = st.recursive(terms, combine, max_leaves=12).map(Selector)


@given(selectors)
def test_canonical_text_reads_back(selector: Selector) -> None:
    assert parse(str(selector)) == selector


def truth(selector: Selector, labels: dict[str, str]) -> bool:
    """The stupid twin: the program as a Python expression."""
    stack: list[str] = []
    for step in selector.program:
        if isinstance(step, Term):
            stack.append(str(step.holds(labels)))
        elif step.operator == "!":
            stack.append(f"(not {stack.pop()})")
        else:
            operands = [stack.pop() for _ in range(step.count)]
            stack.append("(" + {"&&": " and ", "||": " or "}[step.operator].join(operands) + ")")
    return bool(eval(stack[0]))


@given(selectors, st.dictionaries(names, values, max_size=3))
def test_matching_agrees_with_plain_logic(selector: Selector, labels: dict[str, str]) -> None:
    assert selector.matches(labels) == truth(selector, labels)


@given(st.text(alphabet="ab \t!&|=(){},'\"hasin", max_size=30))
def test_any_text_parses_or_is_a_selector_error(text: str) -> None:
    try:
        selector = parse(text)
    except SelectorError as error:
        assert 0 <= error.position <= len(text)
    else:
        assert parse(str(selector)) == selector


def test_the_empty_selector_is_all() -> None:
    assert parse("") == ALL
