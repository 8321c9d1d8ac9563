"""Rooms for test_pubsub_processes.py: `pubsub_server.py REDIS_URL`. Prints its address.

Whoever is in a room (a WebSocket) hears what anybody says there, in any process, and of what he has
not heard; and who says something that cannot be passed on hears that.
"""

from __future__ import annotations

import asyncio
import signal
import sys

from tornadoish import httpserver, netutil, web, websocket
from tornadoish.pubsub import Lost, PublishError, RedisLimits, RedisPubSub, Subscription


class Room(websocket.WebSocketHandler):
    """`async for` takes what the client says, a task beside it what the room says."""

    async def open(self, room: str) -> None:
        self.pubsub: RedisPubSub = self.settings["pubsub"]
        async with self.pubsub.subscribe(room) as subscription, asyncio.TaskGroup() as group:
            passing = group.create_task(self.pass_on(subscription))
            await self.send({"in": room})
            async for said in self:
                try:
                    await self.pubsub.publish(room, said)
                except PublishError as error:
                    await self.send({"refused": said, "uncertain": error.uncertain})
            passing.cancel()

    async def pass_on(self, subscription: Subscription) -> None:
        try:
            async for item in subscription:
                if isinstance(item, Lost):
                    await self.send({"lost": item.count})
                else:
                    await self.send({"said": item.text})
        except websocket.WebSocketClosedError:
            pass  # the client has gone


async def main(url: str) -> None:
    """Serve until SIGTERM."""
    limits = RedisLimits(publish_timeout=0.5, last_retry=0.2)
    pubsub = RedisPubSub(url, prefix="room:", limits=limits)
    application = web.Application([(r"/rooms/(\w+)", Room)], pubsub=pubsub)
    application.cleanup_ctx.append(pubsub.context)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with httpserver.HTTPServer(application) as server:
        sockets = netutil.bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        print(f"http://127.0.0.1:{sockets[0].getsockname()[1]}/", flush=True)
        await stopped.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
