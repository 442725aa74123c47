"""The control API over its real socket: flows, pools, counters, explanations, events, metrics."""

import asyncio
import json
import time
from datetime import datetime

import pytest

from gateway.runtime import listing
from gateway.wire import build

from .conftest import RESOURCES


def test_flows_are_listed_as_lines(live):
    async def story(gateway, api):
        gateway.open(3)
        flows = await api.get("/v1/flows")
        assert len(flows) == 3
        assert {flow["external"] for flow in flows} == {f"198.51.100.10:{40000 + number}" for number in range(3)}
        assert set(flows[0]) == {"id", "protocol", "state", "original", "reply", "expires_in", "packets", "bytes",
                                 "pool", "policy", "external"}
    live(story)


@pytest.mark.parametrize(("query", "found"), [
    ("", 4), ("protocol=udp", 3), ("protocol=tcp", 1), ("source=192.168.1.2", 3), ("source=192.168.1.0/24", 3),
    ("source=192.168.0.0/16", 4), ("source=192.168.1.2:40001", 1), ("destination=203.0.113.7:53", 3),
    ("external=198.51.100.10:40001", 1), ("pool=default-ipv4-ippool", 4), ("pool=six", 0), ("source=fd00::/8", 0),
    ("protocol=udp&source=192.168.2.2", 0), ("state=syn-sent", 1), ("state=SYN-SENT", 1),
    ("protocol=17", 3), ("protocol=253", 0),
])
def test_filters(live, query, found):
    async def story(gateway, api):
        gateway.open(3)
        gateway.send(build.tcp_segment("192.168.2.2", 40000, "203.0.113.8", 443))
        assert len(await api.get(f"/v1/flows?{query}")) == found
    live(story)


@pytest.mark.parametrize(("query", "says"), [
    ("colour=red", "no filter 'colour'"), ("source=x", "not an IP address"), ("source=1.2.3.4/99", "not a CIDR"),
    ("destination=1.2.3.4:99999", "not a port"), ("protocol=tpc", "protocol 'tpc' is not one of: tcp, udp"),
    ("protocol=256", "or a number from 0 to 255"), ("state=time_wait", "is not one of: new, active, syn-sent"),
])
def test_a_filter_that_makes_no_sense_is_told(live, query, says):
    async def story(gateway, api):
        status, answer = await api.ask("GET", f"/v1/flows?{query}")
        assert status == 400 and says in answer["error"]
    live(story)


def test_a_listing_lets_packets_pass_in_between(live):
    async def story(gateway, api):
        gateway.open(800)
        passed = 0

        async def traffic():
            nonlocal passed
            while True:
                passed += len(gateway.open(1, "203.0.113.99"))
                await asyncio.sleep(0)
        task = asyncio.get_running_loop().create_task(traffic())
        flows = [step async for step in listing.steps(gateway.translator.flows(gateway.clock()))]
        task.cancel()
        assert len(flows) >= 4 and passed >= 3
    live(story)


def test_a_flow_can_be_ended_once(live):
    async def story(gateway, api):
        gateway.open(2)
        first, second = await api.get("/v1/flows")
        assert await api.ask("DELETE", f"/v1/flows/{first['id']}") == (200, {"ended": first["id"]})
        assert [flow["id"] for flow in await api.get("/v1/flows")] == [second["id"]]
        status, answer = await api.ask("DELETE", f"/v1/flows/{first['id']}")
        assert status == 404 and first["id"] in answer["error"]
    live(story)


@pytest.mark.parametrize("name", ["zz", "1-xx", "-", "0-0", "%20", "ffffffffffffffffffffff-1", "٣-1", "1"])
def test_an_id_that_is_none_is_not_found(live, name):
    async def story(gateway, api):
        gateway.open(1)
        status, _ = await api.ask("DELETE", f"/v1/flows/{name}")
        assert status == 404
    live(story)


def test_pools_count_flows_and_ports(live):
    async def story(gateway, api):
        gateway.open(3)
        gateway.send(build.echo("fd00:1::5", "2001:db8::7"))
        answer = await api.get("/v1/pools")
        assert {pool["name"]: pool["flows"] for pool in answer["pools"]} == {"default-ipv4-ippool": 3, "six": 1}
        four, six = answer["addresses"]
        assert (four["address"], four["ports"]["udp"], four["ports"]["tcp"]["used"], four["sources"]) == (
            "198.51.100.10", {"used": 3, "of": 64512}, 0, 1)
        assert six["ports"]["icmpv6"]["used"] == 1
    live(story)


def test_stats_name_every_verdict(live):
    async def story(gateway, api):
        gateway.open(1)
        gateway.send(b"\x45\x00")
        stats = await api.get("/v1/stats")
        assert stats["name"] == "node-a" and stats["flows"]["live"] == 1 and stats["flows"]["capacity"] == 1000
        assert stats["counters"] == gateway.translator.counters()
        assert (stats["counters"]["accept"], stats["counters"]["drop_truncated"]) == (1, 1)
        assert (stats["links"]["inside"]["received"], stats["links"]["outside"]["sent"]) == (2, 1)
        assert stats["rules"]["generation"] == 1
    live(story)


def test_explain_answers_as_offline_and_changes_nothing(live):
    async def story(gateway, api):
        status, answer = await api.ask("POST", "/v1/explain", json={"source": "192.168.1.2:40000",
                                                                    "destination": "203.0.113.7:443"})
        assert status == 200 and answer["verdict"] == "accept" and answer["translated"]
        assert answer["source"] == {"from": "192.168.1.2:40000", "to": "198.51.100.10:40000"}
        packet = build.tcp_segment("192.168.1.2", 40000, "203.0.113.7", 443).hex()
        assert (status, answer) == await api.ask("POST", "/v1/explain", json={"packet": packet, "side": "inside"})
        assert await api.get("/v1/flows") == [] and not any(gateway.translator.counters().values())
    live(story)


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"source": 1}', '{"source": "1.2.3.4"}', '{"packet": "zz"}',
                                  '{"packet": ""}', '{"packet": "45", "side": "up"}',
                                  '{"source": "1.2.3.4", "destination": "::1"}'])
def test_a_wrong_question_is_400(live, body):
    async def story(gateway, api):
        status, answer = await api.ask("POST", "/v1/explain", data=body)
        assert status == 400 and answer["error"]
    live(story)


def test_a_truncated_packet_is_explained(live):
    async def story(gateway, api):
        status, answer = await api.ask("POST", "/v1/explain", json={"packet": "45"})
        assert status == 200 and answer["verdict"] == "drop_truncated" and not answer["translated"]
    live(story)


def test_metrics_have_every_verdict_as_a_label(live):
    async def story(gateway, api):
        gateway.open(2)
        text = await api.get("/metrics")
        assert 'gateway_packets_total{verdict="accept"} 2.0' in text
        assert 'gateway_packets_total{verdict="drop_land"} 0.0' in text
        assert "gateway_flows 2.0" in text
        for verdict in gateway.translator.counters():
            assert f'verdict="{verdict}"' in text
    live(story)


def test_resources_are_given_back_as_written(live):
    async def story(gateway, api):
        kinds = [one["kind"] for one in await api.get("/v1/resources")]
        assert kinds == ["Gateway", "IPPool", "IPPool"]
    live(story)


def test_events_are_kept_followed_and_written(live, tmp_path):
    async def story(gateway, api):
        gateway.records.add([{"kind": "created", "flow": "1"}])
        assert [one["kind"] for one in await api.get("/v1/events")] == ["created"]
        async with api.session.get("http://gateway/v1/events?follow=1") as answer:
            assert b'"created"' in await answer.content.readline()
            while not gateway.records.followers:
                await asyncio.sleep(0.01)
            gateway.records.add([{"kind": "closed", "flow": "1"}])
            assert b'"closed"' in await answer.content.readline()
        assert (tmp_path / "events").read_text().count("\n") == 2
    live(story, events=tmp_path / "events")


def test_sessions_are_events_read_out_when_asked_for(live):
    async def story(gateway, api):
        gateway.open(2)
        (row, _) = await api.get("/v1/flows")
        gateway.tick()
        assert gateway.records.waiting == 2
        (one, _) = await api.get("/v1/events")
        assert gateway.records.waiting == 0
        assert {name: one[name] for name in ("kind", "flow", "internal", "external", "pool")} == {
            "kind": "created", "flow": row["id"], "internal": "192.168.1.2:40000", "external": "198.51.100.10:40000",
            "pool": "default-ipv4-ippool"}
        assert abs(datetime.fromisoformat(one["time"]).timestamp() - time.time()) < 60
        await api.ask("DELETE", f"/v1/flows/{row['id']}")
        assert [one["kind"] for one in await api.get("/v1/events")] == ["created", "created", "closed"]
        assert sum((await api.get("/v1/stats"))["events_lost"].values()) == 0
    live(story)


def test_no_more_events_wait_than_are_kept(live):
    async def story(gateway, api):
        for turn in range(12):
            gateway.open(600, f"203.0.113.{turn + 1}")
            for row in list(gateway.translator.flows(gateway.clock())):
                gateway.translator.end_flow(row.id)
            gateway.tick()
            assert gateway.records.waiting < 4096 + 1200
        told = await api.get("/v1/events")
        assert len(told) == 4096 and gateway.records.total == 12 * 1200
    live(story)


def test_events_go_to_the_file_that_the_resources_name(live, tmp_path):
    async def story(gateway, api):
        gateway.open()
        gateway.tick()
        (line,) = (tmp_path / "sessions").read_text().splitlines()
        assert json.loads(line)["remote"] == "203.0.113.7:53"
    live(story, RESOURCES.replace("limits:", f"records: {{remote: true, file: {tmp_path / 'sessions'}}}\n  limits:"))


def test_an_unknown_path_is_a_json_404(live):
    async def story(gateway, api):
        status, answer = await api.ask("GET", "/v2/flows")
        assert status == 404 and answer["error"]
    live(story)
