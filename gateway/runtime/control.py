"""The control API: HTTP on a Unix socket that only this user can open. Reads, explains, ends flows; changes no rule.

Listings are streams of JSON lines, written in bounded steps: the loop that serves them also moves packets.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from . import listing, metrics
from .gateway import Gateway
from .question import SIDES, Question, QuestionError
from .records import FollowersFull
from .sockets import Claim

LINES = "application/x-ndjson"
BODY_MAX = 256 * 1024
PACKET_MAX = 65536
CLOSE_WITHIN = 1.0  # seconds for requests under way at the end
GATEWAY = web.AppKey("gateway", Gateway)
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(gateway: Gateway) -> web.Application:
    app = web.Application(middlewares=[explain_mistakes], client_max_size=BODY_MAX)
    app[GATEWAY] = gateway
    app.add_routes([
        web.get("/v1/flows", flows), web.delete("/v1/flows/{id}", end_flow),
        web.get("/v1/pools", pools), web.get("/v1/stats", stats), web.get("/v1/resources", resources),
        web.get("/v1/events", events), web.post("/v1/explain", explain), web.get("/metrics", scrape),
    ])
    return app


async def serve(gateway: Gateway, claim: Claim) -> web.AppRunner:
    """Answer on the claimed socket until `cleanup` of what is returned."""
    runner = web.AppRunner(application(gateway), access_log=None, shutdown_timeout=CLOSE_WITHIN)
    await runner.setup()
    await web.SockSite(runner, claim.listener).start()
    return runner


@web.middleware
async def explain_mistakes(request: web.Request, handler: Answer) -> web.StreamResponse:
    """A question that makes no sense is 400 with a sentence, every error JSON."""
    try:
        return await handler(request)
    except QuestionError as error:
        return web.json_response({"error": str(error)}, status=400)
    except web.HTTPException as error:
        return web.json_response({"error": error.text or error.reason}, status=error.status)


async def flows(request: web.Request) -> web.StreamResponse:
    """?protocol, state, pool, source, destination, external: address, CIDR or address:port."""
    gateway = request.app[GATEWAY]
    asked = listing.FlowFilter.parse(request.query)
    response = await lines(request)
    async for step in listing.matching(gateway.flows(), asked):
        await response.write("".join(json.dumps(listing.as_json(flow)) + "\n" for flow in step).encode())
    await response.write_eof()
    return response


async def end_flow(request: web.Request) -> web.StreamResponse:
    gateway, name = request.app[GATEWAY], request.match_info["id"]
    if not gateway.end_flow(name):
        raise web.HTTPNotFound(text=f"there is no flow {name}")
    gateway.collect_events()
    return web.json_response({"ended": name})


async def pools(request: web.Request) -> web.StreamResponse:
    gateway = request.app[GATEWAY]
    usage = await listing.Usage.count(gateway.flows())
    return web.json_response(gateway.describe_pools(usage))


async def stats(request: web.Request) -> web.StreamResponse:
    return web.json_response(request.app[GATEWAY].describe())


async def resources(request: web.Request) -> web.StreamResponse:
    return web.json_response(request.app[GATEWAY].describe_resources())


async def events(request: web.Request) -> web.StreamResponse:
    """The latest events; with ?follow=1 also those to come, until the reader goes."""
    records = request.app[GATEWAY].records
    response = await lines(request)
    await response.write("".join(json.dumps(one) + "\n" for one in records.latest).encode())
    if request.query.get("follow") == "1":
        try:
            async for one in records.follow():
                await response.write(json.dumps(one).encode() + b"\n")
        except (FollowersFull, ConnectionError):
            pass
    return response


async def explain(request: web.Request) -> web.StreamResponse:
    """{"source": "IP[:PORT]", "destination": ..., "protocol": "tcp", "side": "inside"}, or {"packet": hex, "side"}."""
    gateway = request.app[GATEWAY]
    try:
        asked = await request.json()
    except ValueError:
        raise QuestionError("the body is not JSON") from None
    packet, side = packet_of(asked)
    return web.json_response(gateway.explain(packet, side))


def packet_of(asked: Any) -> tuple[bytes, int]:
    if not isinstance(asked, dict) or not all(isinstance(value, str) for value in asked.values()):
        raise QuestionError("the body is not a JSON object of texts")
    side = asked.get("side", "inside")
    if "packet" in asked:
        if side not in SIDES:
            raise QuestionError(f"side {side!r} is not one of: {', '.join(SIDES)}")
        try:
            packet = bytes.fromhex(asked["packet"])
        except ValueError:
            raise QuestionError("packet is not hexadecimal") from None
        if not 0 < len(packet) <= PACKET_MAX:
            raise QuestionError(f"a packet has 1 to {PACKET_MAX} bytes")
        return packet, SIDES[side]
    missing = [name for name in ("source", "destination") if name not in asked]
    if missing:
        raise QuestionError(f"missing: {', '.join(missing)}")
    question = Question.parse(asked["source"], asked["destination"], asked.get("protocol", "tcp"), side)
    return question.packet(), question.side


async def scrape(request: web.Request) -> web.StreamResponse:
    return web.Response(body=metrics.text(request.app[GATEWAY]), content_type="text/plain", charset="utf-8")


async def lines(request: web.Request) -> web.StreamResponse:
    """A response to be written in pieces, one JSON object a line."""
    response = web.StreamResponse(headers={"Content-Type": LINES})
    await response.prepare(request)
    return response
