"""`--keep`: the lab stays up in a process of its own, and says how to look around and how to end it."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from labs.lab import Lab
    from labs.story import Story


def detach(lab: Lab, console: Console) -> int:
    """Run the lab in a child that goes on after its story; the number of failed checks."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.setsid()  # Ctrl-C in the terminal is the parent's, which passes it on while the story lasts
        hold(lab, console, writer)
    os.close(writer)
    try:
        answer = os.read(reader, 1)
    except KeyboardInterrupt:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
        raise
    finally:
        os.close(reader)
    return answer[0] if answer else 1


def hold(lab: Lab, console: Console, writer: int) -> None:
    """The child's whole life."""
    def stay(story: Story) -> None:
        hint(story)
        os.write(writer, bytes([min(story.failed, 255)]))
        os.close(writer)
        silence()
        while True:
            signal.pause()

    status = 1
    try:
        lab.perform(console, then=stay)
    except KeyboardInterrupt:
        status = 0
    except BaseException:
        console.print_exception()
    finally:
        os._exit(status)


def silence() -> None:
    """Let go of the terminal, so that whoever waits for this output's end is not kept waiting."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    os.close(null)


def hint(story: Story) -> None:
    story.chapter("It stays up. A shell in each place:")
    inside = isolated()
    prefix = f"nsenter -t {os.getpid()} -U -m --preserve-credentials " if inside else ""
    for name, namespace in story.world.namespaces.items():
        story.line("    ", (f"{name:<10}", "cyan"), f"{prefix}nsenter --net={namespace.path}")
    story.chapter("Ask the gateway, change its resources, and take everything down:")
    story.line(f"    gateway flows --socket {story.gateway.socket}")
    story.line(f"    $EDITOR {story.gateway.file}")
    story.line(f"    kill {os.getpid()}")
    story.console.file.flush()


def isolated() -> bool:
    """Whether this process is in a user namespace that maps one user only, as `isolate` makes it."""
    with open("/proc/self/uid_map") as lines:
        return lines.read().split()[2] == "1"
