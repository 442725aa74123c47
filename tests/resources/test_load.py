"""load(): where things are, what they are called, and everything that is wrong at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.resources import ResourceError, ResourceErrors, Resources, check_update, load
from gateway.resources.documents import DEEPEST

ErrorsOf = Callable[[str], list[ResourceError]]
OnlyError = Callable[[str], ResourceError]
Pool = Callable[..., str]
GATEWAY: dict[str, Any] = {"apiVersion": "gateway/v1", "kind": "Gateway", "metadata": {"name": "node-a"},
                           "spec": {"outside": {"interface": "eth0"}}}
POOL: dict[str, Any] = {"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": "p"},
                        "spec": {"cidr": "10.0.0.0/8"}}


def at(text: str, mark: str) -> tuple[int, int]:
    """Line and column of a piece of text."""
    before = text[:text.index(mark)]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


BROKEN = """\
# a comment first
apiVersion: gateway/v1
kind: Gateway
metadata:
  name: node-a
spec:
  outside:
    interface: eth0
    mtuu: 1500
  addresses:
  - 198.51.100.10
  -   not-an-address
  nat: {hairpinning: "yes"}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: one}
spec: {natOutgoing: true, cidr: 10.0.0.1/8}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: two}
spec:
  disabled: false
"""


def test_every_mistake_has_its_place(errors_of: ErrorsOf) -> None:
    assert {(error.name, error.field): (error.line, error.column) for error in errors_of(BROKEN)} == {
        ("node-a", "spec.outside.mtuu"): at(BROKEN, "mtuu"),
        ("node-a", "spec.addresses[1]"): at(BROKEN, "not-an-address"),
        ("node-a", "spec.nat.hairpinning"): at(BROKEN, '"yes"'),
        ("one", "spec.cidr"): at(BROKEN, "10.0.0.1/8"),
        ("two", "spec.cidr"): at(BROKEN, "disabled: false"),  # missing: where its neighbours begin
    }


def test_an_error_as_text() -> None:
    error = ResourceError("a.yaml", 3, 7, "IPPool", "p", "spec.cidr", "is wrong; write another")
    assert str(error) == "a.yaml:3:7: IPPool/p: spec.cidr: is wrong; write another"
    assert str(ResourceError("a.yaml", 0, 0, "", "", "", "cannot be read")) == "a.yaml: cannot be read"
    assert str(ResourceErrors([error, error])) == str(error)


def test_files_and_folders(tmp_path: Path, gateway_text: str, pool: Pool) -> None:
    (tmp_path / "b.yaml").write_text(gateway_text)
    (tmp_path / "a.yml").write_text(pool("{cidr: 10.0.0.0/8}"))
    (tmp_path / "c.json").write_text(json.dumps(POOL | {"metadata": {"name": "q"}}, indent="\t"))
    (tmp_path / "notes.txt").write_text("not: [a resource")
    (tmp_path / "deeper.yaml").mkdir()
    assert [one.name for one in load(tmp_path)] == ["p", "node-a", "q"]
    assert len(load(tmp_path / "b.yaml")) == 1
    assert [one.name for one in load([tmp_path / "b.yaml", tmp_path / "a.yml"])] == ["node-a", "p"]


def test_a_file_is_named_in_its_errors(tmp_path: Path, gateway_text: str) -> None:
    (tmp_path / "a.yaml").write_text(gateway_text)
    (tmp_path / "b.yaml").write_text("kind: IPPool\n")
    (tmp_path / "c.yaml").write_text("kind: [\n")
    with pytest.raises(ResourceErrors) as caught:
        load(tmp_path)
    assert [(Path(error.file).name, error.line) for error in caught.value.errors] == [("b.yaml", 1), ("c.yaml", 2)]


@pytest.mark.parametrize(("name", "content", "words"), [
    ("none.yaml", None, "cannot be read: No such file or directory; check the path"),
    ("latin.yaml", b"kind: caf\xe9\n", "is not UTF-8 text (byte 9); save it as UTF-8"),
])
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ResourceErrors) as caught:
        load(tmp_path / name)
    assert words in caught.value.errors[0].message


def test_a_file_that_holds_no_resource_is_told_nothing_of_python(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("kind:IPPool\n")
    with pytest.raises(ResourceErrors) as caught:
        load(tmp_path / "a.yaml")
    assert str(caught.value).endswith("write a mapping with apiVersion, kind, metadata and spec")


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ResourceErrors, match=r"no file here ends in \.yaml, \.yml, \.json"):
        load(tmp_path)


def test_dicts() -> None:
    found = load([GATEWAY, POOL])
    assert found.gateway.name == "node-a" and [pool.name for pool in found.pools] == ["p"]
    assert load(GATEWAY).gateway.name == "node-a"
    assert load(found) is found
    with pytest.raises(ResourceErrors) as caught:
        load([GATEWAY, POOL | {"spec": {"cidrs": "10.0.0.0/8"}}])
    assert str(caught.value) == "resources[1]: IPPool/p: spec.cidrs: unknown field; did you mean cidr?"


def test_what_is_loaded_is_a_copy() -> None:
    mine = json.loads(json.dumps(POOL))
    found = load([GATEWAY, mine])
    mine["spec"]["cidr"] = "11.0.0.0/8"
    assert str(found.pools[0].spec.cidr) == "10.0.0.0/8" == found.pools[0].document.value["spec"]["cidr"]


@pytest.mark.parametrize("indent", [None, 1, "\t"])
def test_json_is_read_with_places(indent: int | str | None) -> None:
    text = json.dumps(GATEWAY | {"spec": {"outside": {"interface": "eth0", "mtu": "x"}}}, indent=indent)
    with pytest.raises(ResourceErrors) as caught:
        load(text)
    (error,) = caught.value.errors
    assert (error.line, error.column) == at(text, '"x"')


def test_lists_of_every_sort(gateway_text: str) -> None:
    pools = json.dumps({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": [POOL]})
    assert len(load(gateway_text + "---\n" + pools).pools) == 1
    bare = {key: value for key, value in POOL.items() if key not in ("kind", "apiVersion")}
    typed = json.dumps({"apiVersion": "projectcalico.org/v3", "kind": "IPPoolList", "items": [bare]})
    assert len(load(gateway_text + "---\n" + typed).pools) == 1
    assert len(load(json.dumps([GATEWAY, POOL]))) == 2
    empty = ("---\n---\n# nothing\n---\napiVersion: v1\nkind: List\nitems: []\n"
             "---\napiVersion: v1\nkind: List\nitems: null\n")
    assert len(load(gateway_text + empty)) == 1


def test_an_item_of_a_list_has_its_place(only_error: OnlyError, gateway_text: str) -> None:
    text = gateway_text + ("---\napiVersion: v1\nkind: List\nitems:\n- apiVersion: projectcalico.org/v3\n"
                           "  kind: IPPool\n  metadata: {name: p}\n  spec: {cidr: 10.0.0.0/8, disable: true}\n")
    error = only_error(text)
    assert (error.line, error.column, error.name) == (*at(text, "disable: true"), "p")


def test_what_a_cluster_adds_is_accepted(gateway_text: str) -> None:
    text = """
---
apiVersion: crd.projectcalico.org/v1
kind: IPPool
metadata:
  name: p
  uid: 6f1
  generation: 2
  resourceVersion: "7"
  creationTimestamp: 2024-01-01T00:00:00Z
  labels: {a: b}
  annotations: {projectcalico.org/metadata: "{}"}
  managedFields: [{manager: kubectl, fieldsV1: {f:spec: {}}}]
  ownerReferences: []
  finalizers: [x]
spec: {cidr: 10.0.0.0/8}
status: {conditions: [{type: Allocatable}]}
"""
    assert load(gateway_text + text).notes == ()


KINDS_WRONG = [
    ("kind: IPPoool\napiVersion: projectcalico.org/v3", "kind", "did you mean IPPool?"),
    ("kind: Service\napiVersion: v1", "kind", "known here: FelixConfiguration, Gateway, IPPool and Node"),
    ("apiVersion: projectcalico.org/v3", "kind", "is required; add one of"),
    ("kind: IPPool", "apiVersion", "is required; add apiVersion: projectcalico.org/v3"),
    ("kind: IPPool\napiVersion: v1", "apiVersion", "write projectcalico.org/v3 or crd.projectcalico.org/v1"),
    ("just text", "", "is the text 'just text', not a resource"),
    ("kind: List\nitems: ''", "items", "must be a list, not"),
    ("kind: List\nitems: 5", "items", "must be a list, not the number 5"),
    ("kind: List\nitems: [5]", "", "is the number 5, not a resource"),
]


@pytest.mark.parametrize(("written", "field", "words"), KINDS_WRONG)
def test_what_is_no_known_resource(only_error: OnlyError, gateway_text: str, written: str, field: str,
                                   words: str) -> None:
    error = only_error(f"{gateway_text}---\n{written}\n")
    assert error.field == field and words in error.message and error.line >= 6


@pytest.mark.parametrize(("metadata", "field", "words"), [
    ("{}", "metadata.name", "is required"),
    ("{name: Upper}", "metadata.name", "'Upper' is no name; write at most 253 lower-case letters"),
    ("{name: 5}", "metadata.name", "must be text, not the number 5"),
    ("{name: p, label: {}}", "metadata.label", "did you mean labels?"),
    ("{name: p, labels: {a: 1}}", "metadata.labels.a", 'must be text, not the number 1; write "1", in quotes'),
    ("{name: p, labels: {a: true}}", "metadata.labels.a", "must be text, not true"),
    ("{name: p, labels: [a]}", "metadata.labels", "must be a mapping, not a list"),
])
def test_metadata(only_error: OnlyError, gateway_text: str, metadata: str, field: str, words: str) -> None:
    error = only_error(f"{gateway_text}---\napiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {metadata}\n"
                       "spec: {cidr: 10.0.0.0/8}\n")
    assert error.field == field and words in error.message


def test_a_duplicate_key_is_named_with_its_second_place(only_error: OnlyError, gateway_text: str, pool: Pool) -> None:
    text = gateway_text + pool("{cidr: 10.0.0.0/8, natOutgoing: true,   natOutgoing: false}")
    error = only_error(text)
    assert error.field == "spec.natOutgoing" and "is here twice" in error.message
    assert (error.line, error.column) == at(text, "natOutgoing: false")


def test_the_same_object_twice(only_error: OnlyError, gateway_text: str, pool: Pool) -> None:
    error = only_error(gateway_text + pool("{cidr: 10.0.0.0/8}") + pool("{cidr: 11.0.0.0/8}"))
    assert (error.line, error.field) == (13, "metadata.name")
    assert "the IPPool at <text>:8 has this name too" in error.message


def test_exactly_one_gateway(only_error: OnlyError, gateway_text: str, pool: Pool) -> None:
    assert "there is none in this set" in only_error(pool("{cidr: 10.0.0.0/8}")).message
    assert "there is none in this set" in only_error("").message
    second = only_error(gateway_text + "---\n" + gateway_text.replace("node-a", "node-b"))
    assert second.name == "node-b" and "a second Gateway; the first is node-a at <text>:2" in second.message


def test_a_missing_gateway_is_told_beside_other_mistakes(errors_of: ErrorsOf, pool: Pool) -> None:
    assert [error.kind for error in errors_of(pool("{cidr: 10.0.0.1/8}"))] == ["Gateway", "IPPool"]


@pytest.mark.parametrize(("text", "line", "column"), [
    ("a: b\n  c: d\n", 2, 4),
    ("a: [1, 2\n", 2, 1),
    ("\tkind: x\n", 1, 1),
    ('a: "x\n', 2, 1),
    ("a: *nowhere\n", 1, 4),
    ("a: b\n---\nc: {\n", 4, 1),
    ("a: \x01\n", 1, 4),
])
def test_syntax_errors_have_a_place(errors_of: ErrorsOf, text: str, line: int, column: int) -> None:
    error = next(error for error in errors_of(text) if "YAML" in error.message)
    assert (error.line, error.column) == (line, column)


def test_good_documents_before_a_syntax_error_are_checked_too(errors_of: ErrorsOf, gateway_text: str) -> None:
    text = gateway_text.replace("addresses", "adresses") + "---\nkind: {\n"
    assert len(errors_of(text)) == 2


@pytest.mark.parametrize("text", [
    "a: &a [*a]\n",
    "a: " + "[" * (DEEPEST + 5) + "]" * (DEEPEST + 5),
    "a: " + "[" * 5000 + "]" * 5000,
    "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 10)}]\n" for n in range(9)),
])
def test_text_that_would_expand_without_end(errors_of: ErrorsOf, text: str) -> None:
    assert any("deep" in error.message for error in errors_of(text))


def test_anchors_and_merges(gateway_text: str) -> None:
    text = gateway_text + """
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: p}
spec: {<<: &base {natOutgoing: true, disabled: true}, disabled: false, cidr: 10.0.0.0/8}
"""
    spec = load(text).pools[0].spec
    assert spec.nat_outgoing and not spec.disabled


@pytest.mark.parametrize("written", ["yes", "on", "n"])
def test_a_word_is_no_boolean_in_older_yaml_either(only_error: OnlyError, gateway_text: str, pool: Pool,
                                                   written: str) -> None:
    older = f"{gateway_text}...\n%YAML 1.1\n{pool(f'{{cidr: 10.0.0.0/8, natOutgoing: {written}}}')}"
    assert f"must be true or false, not the text {written!r}" in only_error(older).message
    tagged = gateway_text + pool(f"{{cidr: 10.0.0.0/8, natOutgoing: !!bool {written}}}")
    assert f"not the text {written!r}" in only_error(tagged).message
    assert "not the text" in only_error(tagged.replace("!!bool", "!!null")).message


def test_a_tag_means_nothing_here(only_error: OnlyError, gateway_text: str, pool: Pool) -> None:
    assert "has the tag !secret" in only_error(gateway_text + pool("{cidr: 10.0.0.0/8, disabled: !secret x}")).message


CHANGES = [
    ("{outside: {interface: eth1}}", "spec.outside.interface", "was eth0; restart the gateway to change it"),
    ("{outside: {interface: eth0, driver: tun}}", "spec.outside.driver", "was packet"),
    ("{outside: {interface: eth0}, inside: {interface: gw1}}", "spec.inside.interface", "was gw-inside"),
    ("{outside: {interface: eth0}, limits: {flows: 5}}", "spec.limits.flows", "was 262144"),
]


@pytest.mark.parametrize(("spec", "field", "words"), CHANGES)
def test_what_needs_a_restart(spec: str, field: str, words: str) -> None:
    head = "apiVersion: gateway/v1\nkind: Gateway\nmetadata: {name: node-a}\nspec: "
    with pytest.raises(ResourceErrors) as caught:
        check_update(load(GATEWAY), load(head + spec))
    (error,) = caught.value.errors
    assert error.field == field and words in error.message and error.line == 4


anything = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
                        lambda inner: st.lists(inner, max_size=3)
                        | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=8)
paths = st.sampled_from([("metadata",), ("spec",), ("status",), ("kind",), ("apiVersion",), ("spec", "nat"),
                         ("spec", "outside"), ("spec", "outside", "mtu"), ("spec", "addresses"), ("spec", "timeouts")])


@given(paths, anything)
def test_any_value_anywhere_loads_or_is_an_error_of_the_operators(path: tuple[str, ...], value: Any) -> None:
    changed = json.loads(json.dumps(GATEWAY))
    inner = changed
    for step in path[:-1]:
        inner = inner.setdefault(step, {})
    inner[path[-1]] = value
    for source in (changed, json.dumps(changed) if json.dumps(value).isascii() else changed):
        try:
            assert isinstance(load(source), Resources)
        except ResourceErrors as caught:
            assert all(error.message for error in caught.errors)


@given(st.text(max_size=60))
def test_any_text_loads_or_is_an_error_of_the_operators(text: str) -> None:
    with pytest.raises(ResourceErrors):
        load(text)
