"""Prometheus metrics, read from the gateway at each scrape: nothing is counted twice, nothing on the packet path."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

if TYPE_CHECKING:
    from .gateway import Gateway

SIDES = ("inside", "outside")


class Collector:
    """Every verdict is a label of one counter, zero ones too: an alert on a rate needs the zero before."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def collect(self) -> Iterable[Metric]:
        yield self.verdicts()
        yield from self.table()
        yield from self.links()
        yield from self.rules()

    def verdicts(self) -> Metric:
        packets = CounterMetricFamily("gateway_packets", "Packets by what became of them", labels=["verdict"])
        for verdict, count in self.gateway.translator.counters().items():
            packets.add_metric([verdict], count)
        return packets

    def table(self) -> Iterable[Metric]:
        translator = self.gateway.translator
        yield GaugeMetricFamily("gateway_flows", "Flows in the table", value=translator.live)
        yield GaugeMetricFamily("gateway_flows_max", "Flows the table can hold", value=translator.capacity)
        yield GaugeMetricFamily("gateway_table_bytes", "Memory reserved for flows", value=translator.memory)
        yield CounterMetricFamily("gateway_events", "Session events", value=self.gateway.records.total)

    def links(self) -> Iterable[Metric]:
        pumps = self.gateway.pumps
        read = CounterMetricFamily("gateway_link_read_packets", "Packets read from a link", labels=["side"])
        dropped = CounterMetricFamily("gateway_link_dropped_packets", "Packets a link could not send", labels=["side"])
        wakeups = CounterMetricFamily("gateway_wakeups", "Times the loop found a link readable", labels=["side"])
        for side, name in enumerate(SIDES):
            read.add_metric([name], sum(pump.packets[side] for pump in pumps))
            dropped.add_metric([name], sum(pump.links[side].dropped for pump in pumps))
            wakeups.add_metric([name], sum(pump.wakeups[side] for pump in pumps))
        yield from (read, dropped, wakeups)
        if self.gateway.workers:
            full = CounterMetricFamily("gateway_inbox_full_packets", "Packets handed to a worker that had no room")
            full.add_metric([], sum(inbox.overflowed for inbox in self.gateway.workers.inboxes))
            yield full

    def rules(self) -> Iterable[Metric]:
        rules = self.gateway.rules
        reloads = CounterMetricFamily("gateway_reloads", "Reloads asked for, by result", labels=["result"])
        reloads.add_metric(["applied"], rules.applied)
        reloads.add_metric(["refused"], rules.refused)
        yield reloads
        yield GaugeMetricFamily("gateway_rules_generation", "Rule sets in use since the start", value=rules.generation)
        yield GaugeMetricFamily("gateway_rules_stale", "1 while what is on disk was refused", value=bool(rules.errors))


def text(gateway: Gateway) -> bytes:
    registry = CollectorRegistry()
    registry.register(Collector(gateway))
    return generate_latest(registry)
