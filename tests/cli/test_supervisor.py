"""A supervisor with real processes: starting, serving, replacing, stopping.

Nothing is lost on the way: the clients count what is not answered.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from .supervising import PATIENCE, Client, Lost, Supervised, is_running, refuses, until

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there is no supervisor without fork")


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


# -- serving and stopping


@pytest.mark.parametrize("split", [True, False])
async def test_all_workers_serve_and_drain(supervised: Supervised, split: bool) -> None:
    await supervised.start(split=split)
    pids: set[int] = set()

    async def each_has_answered() -> bool:
        pids.add((await supervised.get())["pid"])
        return len(pids) == 2

    await until(each_has_answered)
    assert pids == await supervised.pids()
    client, answer = await supervised.hold()
    supervised.signal(signal.SIGTERM)
    # Drains: nobody new is let in, what has begun is finished.
    await until(lambda: refuses(supervised.where))
    assert not answer.done()
    supervised.release()
    assert (await answer)["pid"] in pids
    client.close()
    assert await supervised.ended() == 0
    assert not any(is_running(pid) for pid in pids)


async def test_workers_share_a_unix_socket(supervised: Supervised) -> None:
    await supervised.start(unix=True)
    async with supervised.load() as load:
        supervised.signal(signal.SIGHUP)
        await supervised.all_serve(instead_of=await supervised.pids())
    assert load.lost == []
    assert await supervised.stop() == 0


async def test_control_c_of_a_terminal_is_not_for_workers(supervised: Supervised) -> None:
    await supervised.start()
    client, answer = await supervised.hold()
    os.killpg(supervised.process.pid, signal.SIGINT)
    await until(lambda: refuses(supervised.where))
    supervised.release()
    assert (await answer)["pid"]
    client.close()
    assert await supervised.ended() == 0
    assert ") drains" not in supervised.said()  # as a worker that was sent a signal would say


async def test_a_second_signal_ends_at_once(supervised: Supervised) -> None:
    await supervised.start()
    pids = await supervised.pids()
    client, answer = await supervised.hold()
    supervised.signal(signal.SIGTERM)
    await until(lambda: refuses(supervised.where))
    supervised.signal(signal.SIGINT)
    assert await supervised.ended() == 1
    with pytest.raises(Lost):
        await answer
    client.close()
    assert not any(is_running(pid) for pid in pids)


async def test_who_does_not_drain_is_killed(supervised: Supervised) -> None:
    supervised.behave(stays=True)
    await supervised.start(workers=1, policy={"grace_seconds": 0.1, "clean_up_seconds": 0.1})
    assert await supervised.stop() == 1
    assert "is killed: it has not ended in time" in supervised.said()
    assert "in run" in supervised.said()  # its stack


async def test_a_worker_that_fails_as_it_drains_is_seen_in_the_status(
    supervised: Supervised,
) -> None:
    supervised.behave(status=7)
    await supervised.start()
    assert await supervised.stop() == 1
    assert "ended with status 7 as it drained" in supervised.said()


async def test_workers_drain_if_the_supervisor_is_killed(supervised: Supervised) -> None:
    await supervised.start()
    pids = await supervised.pids()
    client, answer = await supervised.hold()
    supervised.signal(signal.SIGKILL)
    await until(lambda: refuses(supervised.where))
    assert not answer.done()
    supervised.release()
    assert (await answer)["pid"] in pids
    client.close()
    await until(lambda: not any(is_running(pid) for pid in pids))


async def test_workers_do_not_take_their_children_for_workers(supervised: Supervised) -> None:
    await supervised.start(environment={"WATCHDOG_USEC": "5000000", "NOTIFY_SOCKET": "nowhere"})
    assert (await supervised.get())["inherited"] == []


# -- rolling


async def test_rolling_brings_new_code_and_loses_no_request(supervised: Supervised) -> None:
    supervised.behave(word="0")
    await supervised.start()
    pids = await supervised.pids()
    count = descriptors(supervised.process.pid)
    async with supervised.load(8) as load:
        for word in ("1", "2"):
            supervised.behave(word=word)
            supervised.signal(signal.SIGHUP)
            pids = await supervised.all_serve(instead_of=pids)
            assert (await supervised.get())["word"] == word
            await load.goes_on()
    assert load.lost == []
    assert descriptors(supervised.process.pid) == count
    assert await supervised.stop() == 0


async def test_told_again_while_it_rolls_it_rolls_again(supervised: Supervised) -> None:
    await supervised.start()
    pids = await supervised.pids()
    supervised.signal(signal.SIGHUP)
    assert len(await until(lambda: supervised.pids("starting"))) == 1  # one after the other
    supervised.behave(word="last")
    supervised.signal(signal.SIGHUP)

    async def all_of_the_last() -> bool:
        workers = await supervised.workers()
        return len(workers) == 2 and all(worker["generation"] == 2 for worker in workers)

    await until(all_of_the_last)
    assert not pids & await supervised.all_serve()
    for _ in range(10):
        assert (await supervised.get())["word"] == "last"


async def test_new_code_that_does_not_start_changes_nothing(supervised: Supervised) -> None:
    supervised.behave(word="old")
    await supervised.start()
    pids = await supervised.pids()
    async with supervised.load() as load:
        supervised.behave(fails=["No module named 'flask'", 78])
        supervised.signal(signal.SIGHUP)
        await until(lambda: "do" in supervised.said() and "go on" in supervised.said())
        assert await supervised.all_serve() == pids
        assert "No module named 'flask'" in supervised.said()
        supervised.behave(word="mended")
        supervised.signal(signal.SIGHUP)
        await supervised.all_serve(instead_of=pids)
        assert (await supervised.get())["word"] == "mended"
    assert load.lost == []


async def test_a_long_request_outlives_the_roll(supervised: Supervised) -> None:
    await supervised.start()
    pids = await supervised.pids()
    client, answer = await supervised.hold()
    supervised.signal(signal.SIGHUP)

    async def one_drains() -> bool:
        states = [worker["state"] for worker in await supervised.workers()]
        return sorted(states) == ["draining", "ready", "ready"]

    await until(one_drains)
    supervised.release()
    assert (await answer)["pid"] in pids
    client.close()
    await supervised.all_serve(instead_of=pids)


# -- losing workers


async def test_a_killed_worker_loses_what_it_held_and_no_more(supervised: Supervised) -> None:
    await supervised.start(policy={"steady_seconds": 0.01})
    async with supervised.load(8) as load:
        victim = (await supervised.pids()).pop()
        held = load.held_by(victim)
        os.kill(victim, signal.SIGKILL)
        await supervised.all_serve(instead_of={victim})
        await load.goes_on()
    assert 0 < len(load.lost) <= held
    assert set(load.lost) == {victim}
    assert "was ended by SIGKILL" in supervised.said()
    assert victim in (await supervised.view())["gone"]


async def test_who_waits_in_the_queue_of_a_killed_worker_is_served(supervised: Supervised) -> None:
    """And at once: the back-off is for who fails again."""
    await supervised.start(
        workers=1, policy={"backoff_seconds": 600.0, "max_backoff_seconds": 600.0}
    )
    [pid] = await supervised.pids()
    os.kill(pid, signal.SIGSTOP)
    clients = [Client(supervised.where) for _ in range(8)]
    for client in clients:
        await client.send("/")
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(PATIENCE):
        for client in clients:
            assert (await client.receive())["pid"] != pid
            client.close()


async def test_a_worker_whose_loop_does_not_run_is_replaced(supervised: Supervised) -> None:
    await supervised.start(workers=1, policy={"answer_seconds": 0.5})
    [pid] = await supervised.pids()
    hanging = Client(supervised.where)
    await hanging.send("/hang/30")
    await until((supervised.directory / "hangs").exists)
    waiting = await supervised.get()
    assert waiting["pid"] != pid
    with pytest.raises(Lost):
        await hanging.receive()
    assert "event loop has not run" in supervised.said()
    assert "in answer" in supervised.said()  # where it was


async def test_nobody_is_silent_while_all_are_frozen(supervised: Supervised) -> None:
    """As by ``docker pause``: the first to go on may be the supervisor."""
    await supervised.start(policy={"answer_seconds": 0.5})
    pids = await supervised.pids()
    supervised.signal(signal.SIGSTOP)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(1.5)  # the very thing: time that passes
    supervised.signal(signal.SIGCONT)
    assert await supervised.pids() == pids
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    for _ in range(20):
        assert await supervised.pids() == pids


async def test_a_worker_that_says_nonsense_is_replaced(supervised: Supervised) -> None:
    await supervised.start(workers=1)
    pids = await supervised.pids()
    await supervised.get("/garbage")
    await supervised.all_serve(1, instead_of=pids)
    assert "it says what no worker should" in supervised.said()


async def test_a_worker_that_drains_by_itself_is_followed_at_once(supervised: Supervised) -> None:
    await supervised.start(workers=1, policy={"steady_seconds": 0.01})
    pids = await supervised.pids()
    client, answer = await supervised.hold()
    os.kill(pids.pop(), signal.SIGTERM)

    async def followed() -> bool:
        states = sorted(worker["state"] for worker in await supervised.workers())
        return states == ["draining", "ready"]

    await until(followed)
    supervised.release()
    assert await answer
    client.close()
    await supervised.all_serve(1)
    assert "is lost" not in supervised.said()


# -- worn out


async def test_a_worker_is_replaced_after_so_many_requests(supervised: Supervised) -> None:
    await supervised.start(policy={"max_requests": 300})
    pids = await supervised.pids()

    def is_replaced(pid: int) -> bool:
        lines = supervised.said().splitlines()
        return any(f"(pid {pid})" in line and "it is replaced" in line for line in lines)

    async with supervised.load() as load:
        await until(lambda: all(map(is_replaced, pids)))
    assert load.lost == []
    assert not pids & await supervised.all_serve()


async def test_a_worker_that_grows_is_replaced(supervised: Supervised) -> None:
    await supervised.start(workers=1, policy={"max_resident_bytes": 150_000_000})
    pids = await supervised.pids()
    async with supervised.load(4) as load:
        await supervised.get("/grow/160000000")
        await supervised.all_serve(1, instead_of=pids)
    assert load.lost == []
    assert "MiB of memory: it is replaced" in supervised.said()


# -- workers that cannot start


async def test_a_mistake_is_said_once_with_its_status(supervised: Supervised) -> None:
    supervised.behave(fails=["app.py: no such file", 78])
    await supervised.start(serves=False)
    assert "app.py: no such file" in await supervised.reason()
    assert await supervised.ended() == 78
    assert supervised.said().count("Giving up: worker") == 1
    assert "Traceback" not in supervised.said()
    assert len(starts(supervised)) <= 2  # nobody has tried again


async def test_a_crash_at_the_start_is_tried_again_a_few_times(supervised: Supervised) -> None:
    supervised.behave(exits=3)
    await supervised.start(workers=1, serves=False, policy={"attempts": 3})
    assert "could not stay, 3 times in a row: it ended with status 3" in await supervised.reason()
    assert await supervised.ended() == 1
    assert len(starts(supervised)) == 3


@pytest.mark.parametrize("how", ["killed", "told to end"])
async def test_who_gives_up_says_what_was_wrong_with_the_last(
    supervised: Supervised, how: str
) -> None:
    await supervised.start(workers=1, policy={"attempts": 1})
    if how == "killed":
        await supervised.get("/garbage")
    else:
        os.kill((await supervised.pids()).pop(), signal.SIGTERM)
    why = "it says what no worker should: " if how == "killed" else "it was told to end"
    assert f"could not stay, 1 times in a row: {why}" in await supervised.reason()
    assert await supervised.ended() == 1


async def test_a_worker_must_be_ready_in_time(supervised: Supervised) -> None:
    supervised.behave(**{"never ready": True})
    await supervised.start(workers=1, serves=False, policy={"start_seconds": 0.5})
    assert "it was not ready in 0.5 seconds" in await supervised.reason()
    assert await supervised.ended() == 1


async def test_stopping_does_not_wait_for_who_starts(supervised: Supervised) -> None:
    supervised.behave(**{"never ready": True})
    await supervised.start(serves=False)
    await until(lambda: len(starts(supervised)) == 2)
    assert await supervised.stop() == 0


async def test_a_command_that_is_not_there(supervised: Supervised) -> None:
    await supervised.start(workers=1, serves=False, command=["./nowhere"], policy={"attempts": 2})
    assert "no process can be started" in await supervised.reason()
    assert await supervised.ended() == 1


async def test_while_others_serve_nobody_gives_up(supervised: Supervised) -> None:
    """And the kernel does not send connections to where nobody is."""
    await supervised.start(policy={"attempts": 2})
    [victim] = [worker["pid"] for worker in await supervised.workers() if worker["slot"] == 1]
    supervised.behave(exits=3)
    os.kill(victim, signal.SIGKILL)
    await until(lambda: starts(supervised).count("1") >= 4)
    for _ in range(20):
        assert (await supervised.get())["slot"] == 0
    supervised.behave()
    await supervised.all_serve()
    slots: set[int] = set()

    async def both_are_asked() -> bool:
        slots.add((await supervised.get())["slot"])
        return slots == {0, 1}

    await until(both_are_asked)


def starts(supervised: Supervised) -> list[str]:
    """The slots of all workers that were started, in order."""
    path: Path = supervised.directory / "starts"
    return path.read_text().split() if path.exists() else []
