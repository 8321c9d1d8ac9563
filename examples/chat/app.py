"""Chat: rooms with history, presence and typing, over one process or over many.

    python examples/chat/app.py [PORT]

    pip install '.[redis]'
    python examples/chat/app.py 8001 --redis redis://127.0.0.1
    python examples/chat/app.py 8002 --redis redis://127.0.0.1

PORT is 8888 by default; 0 takes any free one. The address is in its log. Without --redis
there is one process, and what was said is gone when it ends. With it any number of processes, on
any machines, share their rooms. Ctrl-C or SIGTERM ends one; its pages try again until there is
another at its address.

Read on in this order:

    app.py        what there is: routes, settings, and the life from start to end
    handlers.py   what a page says, and what it is told: the WebSocket
    rooms.py      a room in one process, which knows of its other processes
    people.py     who is in it, in all of them
    history.py    what was said: in memory, or in Redis
    page/         the page; chat.js is the other end of the WebSocket
"""

import argparse
import asyncio
from collections.abc import AsyncIterator

from handlers import PageHandler, RoomHandler, RoomsHandler
from history import make_history
from rooms import Room

import tornadoish
from tornadoish.pubsub import make_pubsub
from tornadoish.web import Application, url

ROOMS = {"lobby": "Lobby", "garden": "Garden", "kitchen": "Kitchen", "workshop": "Workshop"}

PING_SECONDS = 20  # a page that says nothing for so long, and does not answer, is gone


def make_application(redis_url: str | None) -> Application:
    """The application of one process.

    :param redis_url: of the Redis server by which it is one of many.
    """
    pubsub = make_pubsub(redis_url, prefix="chat:")
    history = make_history(redis_url)
    rooms = {name: Room(name, title, pubsub, history) for name, title in ROOMS.items()}
    application = Application(
        [
            url("/rooms", RoomsHandler),
            url("/rooms/{name}", RoomHandler),
            url("/", PageHandler),
            url("/{name}", PageHandler),
        ],
        rooms=rooms,
        websocket_ping_interval=PING_SECONDS,
        websocket_max_message_size=16 * 1024,
    )
    # Entered in this order, left in the other: rooms need both.
    application.cleanup_ctx.append(pubsub.context)
    application.cleanup_ctx.append(history.context)
    application.cleanup_ctx.append(with_rooms)
    return application


async def with_rooms(application: Application) -> AsyncIterator[None]:
    """Rooms live as long as the application does."""
    rooms = application.settings["rooms"].values()
    tasks = [asyncio.create_task(work()) for room in rooms for work in (room.listen, room.report)]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Rooms to talk in.")
    parser.add_argument(
        "port", metavar="PORT", type=int, nargs="?", default=8888,
        help="default 8888; 0: any free one",
    )  # fmt: skip
    parser.add_argument("--address", default="127.0.0.1", help="default 127.0.0.1: this host only")
    parser.add_argument("--redis", metavar="URL", help="of the server that all processes share")
    return parser.parse_args()


if __name__ == "__main__":
    options = parse_options()
    # Starts the application; at the end pages are told to go elsewhere, and it is closed.
    tornadoish.run(
        make_application(options.redis),
        host=options.address,
        port=options.port,
        limit={"body_bytes": 0},  # what pages say comes over WebSockets
    )
