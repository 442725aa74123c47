"""validate and explain without a gateway: exit statuses, what goes where, and JSON that scripts can rely on."""

import json
import resource

import pytest

from .conftest import RESOURCES

ASK = ("--src", "192.168.1.2:40000", "--dst", "203.0.113.7:443")


def test_valid_resources_are_counted(gateway, file):
    done = gateway("validate", "-f", file)
    assert (done.returncode, done.stdout) == (0, "valid: 1 Gateway, 2 IPPool\n")


def test_every_mistake_is_printed_with_its_place(gateway, tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(RESOURCES.replace("natOutgoing: true", "natOutgoin: true").replace("10.0.0.0/8", "10.0.0.1/8"))
    done = gateway("validate", "-f", str(path))
    assert done.returncode == 2 and done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 3 and lines[-1].startswith("error: 2 mistakes")
    assert f"{path}:13:30: IPPool/default-ipv4-ippool: spec.natOutgoin: " in lines[0] and "natOutgoing?" in lines[0]
    assert "IPPool/no-nat: spec.cidr" in lines[1] and "10.0.0.0/8" in lines[1]


def test_mistakes_as_json(gateway):
    done = gateway("validate", "-f", "-", "-o", "json", text=RESOURCES.replace("/16", "/33"))
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["valid"], done.stderr) == (2, False, "")
    [error] = answer["errors"]
    assert (error["file"], error["kind"], error["name"], error["field"]) == (
        "<stdin>", "IPPool", "default-ipv4-ippool", "spec.cidr")
    assert error["line"] == 13 and error["message"]


def test_valid_as_json(gateway, file):
    done = gateway("validate", "-f", file, "-o", "json")
    assert json.loads(done.stdout) == {"valid": True, "errors": [], "notes": [],
                                       "resources": {"Gateway": 1, "IPPool": 2}}


def test_several_files_make_one_set(gateway, tmp_path):
    first, *rest = RESOURCES.split("---\n")
    (tmp_path / "a.yaml").write_text(first)
    (tmp_path / "b.yaml").write_text("---\n".join(rest))
    done = gateway("validate", "-f", str(tmp_path / "a.yaml"), "-f", str(tmp_path / "b.yaml"))
    assert (done.returncode, done.stdout) == (0, "valid: 1 Gateway, 2 IPPool\n")


@pytest.mark.parametrize("words", [(), ("-f", ""), ("-f", "none.yaml"), ("-f", "/dev/zero"),
                                   ("-f", "-", "-f", "x.yaml"), ("-f",), ("--colour",)])
def test_bad_input_is_status_2_with_a_message(gateway, words):
    done = gateway("validate", *words, text="")
    assert done.returncode == 2 and done.stdout == "" and done.stderr and "Traceback" not in done.stderr


def test_explain_as_json_is_the_contracts(gateway, file):
    done = gateway("explain", "-f", file, *ASK, "-o", "json")
    answer = json.loads(done.stdout)
    assert done.returncode == 0
    assert set(answer) == {"verdict", "translated", "source", "destination", "pool", "excluded_by", "policy", "steps"}
    assert (answer["verdict"], answer["translated"], answer["pool"]) == ("accept", True, "default-ipv4-ippool")
    assert answer["source"] == {"from": "192.168.1.2:40000", "to": "198.51.100.10:40000"}
    assert all(set(step) == {"stage", "says"} for step in answer["steps"])


def test_explain_for_people_ends_with_the_verdict(gateway, file):
    done = gateway("explain", "-f", file, *ASK)
    *_, change, verdict = done.stdout.splitlines()
    assert done.returncode == 0 and "\x1b" not in done.stdout
    assert change.split(maxsplit=1) == ["source", "192.168.1.2:40000 -> 198.51.100.10:40000"]
    assert verdict.split(maxsplit=1) == ["verdict", "accept: translated"]


def test_an_excluded_destination_passes_untranslated(gateway, file):
    done = gateway("explain", "-f", file, "--src", "192.168.1.2", "--dst", "10.1.1.1", "-o", "json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["translated"], answer["excluded_by"]) == (0, False, "no-nat")


def test_a_packet_that_would_not_pass_is_status_1(gateway, file):
    done = gateway("explain", "-f", file, "--src", "172.31.1.2", "--dst", "203.0.113.7", "-o", "json")
    assert done.returncode == 1 and json.loads(done.stdout)["verdict"] == "drop_spoofed_source"
    done = gateway("explain", "-f", file, "--side", "outside", "--src", "203.0.113.7:1", "--dst", "198.51.100.10:2")
    assert done.returncode == 1 and "drop_unsolicited" in done.stdout


@pytest.mark.parametrize(("words", "says"), [
    (("--src", "192.168.1.2.3", "--dst", "1.1.1.1"), "not an IP address"),
    (("--src", "192.168.1.2:65536", "--dst", "1.1.1.1"), "not a port"),
    (("--src", "192.168.1.2", "--dst", "2001:db8::1"), "different families"),
    ((*ASK, "--protocol", "tpc"), "not one of"), ((*ASK, "--side", "left"), "not one of"), (ASK[:2], "--dst"),
])
def test_a_question_without_sense_is_status_2(gateway, file, words, says):
    done = gateway("explain", "-f", file, *words)
    assert done.returncode == 2 and says in done.stderr and done.stdout == ""


@pytest.mark.parametrize("words", [("explain", *ASK), ("flows",), ("flows", "end", "1-2"), ("pools",), ("stats",)])
def test_without_a_gateway_it_is_status_3(gateway, words):
    done = gateway(*words, "--socket", "none.sock")
    assert done.returncode == 3 and "none.sock" in done.stderr and done.stdout == ""


def test_offline_the_interfaces_own_addresses_are_not_known(gateway, tmp_path):
    text = RESOURCES.replace("  addresses: [198.51.100.10, \"2001:db8:e::10\"]\n", "")
    assert text != RESOURCES
    done = gateway("explain", "-f", "-", *ASK, text=text)
    assert done.returncode == 1 and "drop_no_egress_address" in done.stdout and "not known offline" in done.stdout


def test_a_lab_has_no_json(gateway):
    done = gateway("lab", "nat-outgoing", "-o", "json")
    assert done.returncode == 2 and "leave the name out" in done.stderr and done.stdout == ""


@pytest.mark.parametrize("command", ["run", "lab", "validate", "explain", "flows", "flows end", "pools", "stats"])
def test_every_command_helps_with_examples(gateway, command):
    done = gateway(*command.split(), "--help")
    assert done.returncode == 0 and f"  gateway {command}" in done.stdout.partition("Examples:")[2]


def test_explain_is_quick(gateway, file):
    """In processor time, so that a busy machine does not count."""
    took = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert gateway("explain", "-f", file, *ASK).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(took) < 0.6
