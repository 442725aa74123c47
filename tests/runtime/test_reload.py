"""Reload: new rules for new flows, live ones stay; whatever is wrong changes nothing and is said in full."""

import asyncio
import time
from dataclasses import replace

import pytest

from gateway.runtime import reload
from gateway.runtime.reload import Reloader
from gateway.wire import build

from .conftest import RESOURCES


def syn(port, source="192.168.1.2"):
    return build.tcp_segment(source, port, "203.0.113.7", 443)


def source_of(packets):
    return [".".join(str(byte) for byte in packet[12:16]) for packet in packets]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "gateway.yaml"
    path.write_text(RESOURCES)
    return path


def change(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_new_rules_hold_for_new_flows_and_old_flows_stay(live, file):
    async def story(gateway, api):
        reloader = Reloader(gateway, [str(file)])
        assert source_of(gateway.send(syn(1111))) == ["198.51.100.10"]
        change(file, "192.168.0.0/16, natOutgoing: true", "192.168.0.0/16, natOutgoing: false")
        assert await reloader.reload("test")
        assert source_of(gateway.send(syn(2222))) == ["192.168.1.2"]
        assert source_of(gateway.send(syn(1111))) == ["198.51.100.10"]
        assert (await api.get("/v1/stats"))["rules"]["generation"] == 2
        assert len(await api.get("/v1/flows")) == 2
    live(story)


@pytest.mark.parametrize(("old", "new", "says"), [
    ("natOutgoing: true", "natOutgoin: true", "did you mean natOutgoing"),
    ("192.168.0.0/16, nat", "192.168.1.0/16, nat", "192.168.0.0/16"),
    ("192.168.0.0/16, nat", "172.16.0.0/16, nat", "CIDR cannot change"),
    ("flows: 1000", "flows: 2000", "was 1000"),
    ("limits: {flows", "workers: 1\n  limits: {flows", "spec.workers: was 0"),
    ("name: node-a", "name: node-b", "metadata.name: was node-a; restart the gateway"),
    ("inside: {driver: memory", "inside: {mtu: 1400, driver: memory", "spec.inside.mtu: was 1500; restart"),
    ("limits:", "records: {file: sessions}\n  limits:", "spec.records.file: was not given; restart"),
    ("apiVersion: gateway/v1", "apiVersion: [", "not valid YAML"),
])
def test_a_wrong_set_keeps_the_old_rules_and_says_all_of_it(live, file, caplog, old, new, says):
    async def story(gateway, api):
        reloader = Reloader(gateway, [str(file)])
        gateway.send(syn(1111))
        change(file, old, new)
        assert not await reloader.reload("test")
        assert source_of(gateway.send(syn(2222), syn(1111))) == ["198.51.100.10"] * 2
        rules = (await api.get("/v1/stats"))["rules"]
        assert (rules["generation"], rules["refused"]) == (1, 1)
        assert any(says in error for error in rules["errors"]), rules["errors"]
        change(file, new, old)
        assert await reloader.reload("test")
        assert (await api.get("/v1/stats"))["rules"]["errors"] == []
    live(story)


def test_every_mistake_is_a_line(live, file, caplog):
    async def story(gateway, api):
        change(file, "natOutgoing: true", "natOutgoing: 7")
        change(file, "limits:", "limit:")
        assert not await Reloader(gateway, [str(file)]).reload("test")
        assert len(gateway.rules.errors) == 2
        assert caplog.text.count("resource_error") == 2 and "reload_refused" in caplog.text
    live(story)


def test_a_missing_file_changes_nothing(live, file):
    async def story(gateway, api):
        reloader = Reloader(gateway, [str(file)])
        file.unlink()
        assert not await reloader.reload("test")
        assert gateway.rules.generation == 1
    live(story)


@pytest.mark.parametrize("how", ["written", "replaced", "linked"])
def test_a_change_on_disk_is_noticed(live, file, how):
    async def story(gateway, api):
        path = file
        if how == "linked":  # as Kubernetes mounts a ConfigMap
            first, second = file.parent / "..1", file.parent / "..2"
            for folder in (first, second):
                folder.mkdir()
                (folder / "gateway.yaml").write_text(RESOURCES)
            (file.parent / "..data").symlink_to(first)
            path = file.parent / "linked.yaml"
            path.symlink_to("..data/gateway.yaml")
            change(second / "gateway.yaml", "natOutgoing: true", "natOutgoing: false")
        reloader = Reloader(gateway, [str(path)])
        task = asyncio.get_running_loop().create_task(reloader.watch())
        await asyncio.sleep(0.3)
        if how == "written":
            change(file, "natOutgoing: true", "natOutgoing: false")
        elif how == "replaced":
            fresh = file.with_suffix(".new")
            fresh.write_text(RESOURCES.replace("natOutgoing: true", "natOutgoing: false", 1))
            fresh.rename(file)
        else:
            fresh = file.parent / "..tmp"
            fresh.symlink_to(second)
            fresh.rename(file.parent / "..data")
        deadline = time.monotonic() + 10
        while gateway.rules.generation == 1 and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        task.cancel()
        assert gateway.rules.generation == 2
        assert source_of(gateway.send(syn(2222))) == ["192.168.1.2"]
    live(story)


def test_packets_pass_while_a_large_set_is_built(live, file):
    async def story(gateway, api):
        pools = "".join(f"\n---\napiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {{name: p{number}}}\n"
                        f"spec: {{cidr: 172.{16 + number // 256}.{number % 256}.0/24}}" for number in range(500))
        file.write_text(RESOURCES + pools)
        task = asyncio.get_running_loop().create_task(Reloader(gateway, [str(file)]).reload("test"))
        passed, longest, before = 0, 0.0, time.monotonic()
        while not task.done():
            passed += len(gateway.send(syn(1111)))
            await asyncio.sleep(0.002)
            longest, before = max(longest, time.monotonic() - before), time.monotonic()
        assert task.result() and passed > 20
        assert longest < 0.5
    live(story)


def test_standard_input_is_read_once(live):
    async def story(gateway, api):
        assert not await Reloader(gateway, ["-"]).reload("SIGHUP")
        assert reload.watched(["-"]) == []
    live(story)


def test_ports_the_host_begins_to_listen_on_during_a_reload_are_avoided_after_it(live, file):
    async def story(gateway, api):
        gateway.facts = replace(gateway.facts, shared=frozenset({"198.51.100.10"}))
        reloader, loop = Reloader(gateway, [str(file)]), asyncio.get_running_loop()
        build_rules = reloader.build

        def built():
            made = build_rules()
            learning = gateway.surroundings.learn(listening={"tcp": frozenset({5000})})
            asyncio.run_coroutine_threadsafe(learning, loop).result()
            return made
        reloader.build = built
        assert await reloader.reload("test")
        assert gateway.translator.ruleset is gateway.rules.ruleset
        assert gateway.rules.ruleset.settings.tcp_ports.excluded == {5000}
    live(story)
