"""Every event arrives at least once under one key, at longer and longer intervals, or is a dead letter."""

import json
import threading

import pytest
from watched import FakeHook, refused, unreachable

from modeling_retainmix.watching import deliveries as module
from modeling_retainmix.watching.deliveries import DeliveryThread, Outbox
from modeling_retainmix.watching.recording import Delivery
from modeling_retainmix.watching.state import WatchState


def queue(state, *keys, hook="fake"):
    for key in keys:
        state.queue(Delivery(key, hook, f"hook {hook}", json.dumps({"key": key})))


@pytest.fixture
def outbox(state, clock):
    def make(*hooks, **options):
        return Outbox(state, hooks, clock=clock, **options)

    return make


def test_when_a_hook_answers_then_each_event_is_sent_once_in_order(state, outbox):
    queue(state, "a", "b", "c")
    hook = FakeHook()
    assert outbox(hook).send_due() == 3 and outbox(hook).send_due() == 0
    assert hook.sent == [(key, json.dumps({"key": key})) for key in "abc"]


def test_when_an_event_is_refused_then_the_others_pass_it_and_it_comes_back_later_and_later(state, outbox, clock):
    queue(state, "a", "b")
    hook, problems = FakeHook(errors=[refused(), None, refused(), refused(), refused()]), []
    box = outbox(hook, on_problem=problems.append)
    assert box.send_due() == 1 and [key for key, _ in hook.sent] == ["b"]
    waited, begun = [], clock.now
    while box.num_waiting():
        clock.now += 0.25
        left = len(hook.errors)
        box.send_due()
        if len(hook.errors) < left or hook.sent[-1][0] == "a":
            waited.append(clock.now - begun)
            begun = clock.now
    assert waited == [1, 2, 4, 8]
    assert problems == ["fake: status 500; it is tried again"] * 2  # once for each row of failures


def test_when_nobody_answers_then_one_event_is_tried_and_the_others_wait_with_it(state, outbox, clock):
    queue(state, "a", "b", "c")
    queue(state, "x", hook="other")
    hook, other = FakeHook(errors=[unreachable()] * 3), FakeHook("other")
    box = outbox(hook, other)
    assert box.send_due() == 1 and len(hook.errors) == 2 and len(other.sent) == 1
    clock.now += 1
    box.send_due()
    clock.now += 1.5
    box.send_due()
    assert len(hook.errors) == 1  # paused for 2 s after the second failure
    clock.now += 0.5
    box.send_due()
    clock.now += 4
    assert box.send_due() == 3 and [key for key, _ in hook.sent] == ["a", "b", "c"]


def test_when_somebody_answers_between_then_the_pause_begins_anew(state, outbox, clock):
    queue(state, "a", "b")
    hook = FakeHook(errors=[refused(), unreachable(), unreachable(), refused(), unreachable()])
    box = outbox(hook)
    pauses = []
    while hook.errors:
        before = len(hook.errors)
        box.send_due()
        if before > len(hook.errors):
            pauses.append(clock.now - 2_000_000_000)
        clock.now += 0.5
    assert pauses[:3] == [0, 1, 3]  # the silences after the first refusal: 1 s, then 2 s
    clock.now = pauses[-1] + 2_000_000_002
    box.send_due()
    assert hook.sent  # the last silence, after a refusal, has paused the hook for 1 s again


def test_the_longest_delay_is_ten_minutes(state, outbox, clock):
    queue(state, "a")
    box = outbox(FakeHook(errors=[refused()] * 40))
    for _ in range(40):
        box.send_due()
        (event,) = state.due_deliveries("fake", float("inf"), 9)
        clock.now = event.due
    assert event.tries == 40 and box.send_due() == 1


def test_when_an_event_fails_too_often_then_it_is_a_line_of_dead_letters(state, outbox, clock):
    queue(state, "a", "b")
    problems = []
    box = outbox(FakeHook(errors=[refused(), None, refused()]), max_tries=2, on_problem=problems.append)
    box.send_due()
    clock.now += 1
    box.send_due()
    assert box.num_waiting() == 0
    (line,) = (state.folder / "dead_letters.jsonl").read_text().splitlines()
    letter = json.loads(line)
    assert (letter["hook"], letter["tries"], letter["error"]) == ("hook fake", 2, "status 500")
    assert letter["event"] == {"key": "a"} and "dead_letters.jsonl" in problems[-1]


def test_when_a_hook_is_not_given_then_its_events_stay_and_are_told(state, outbox):
    queue(state, "a", "b", hook="gone")
    box = outbox(FakeHook())
    assert box.send_due() == 0 and box.num_waiting() == 0
    assert box.describe_orphans() == ["2 events wait for hook gone, which is not given now: they stay"]


def test_when_more_wait_than_one_batch_then_all_are_sent(state, outbox, monkeypatch):
    monkeypatch.setattr(module, "_BATCH", 2)
    queue(state, *"abcde")
    hook = FakeHook()
    outbox(hook).send_all_once()
    assert [key for key, _ in hook.sent] == [*"abcde"]


def test_a_thread_sends_what_another_thread_queues_and_stops(state):
    arrived = threading.Event()
    hook = FakeHook()
    send = hook.send
    hook.send = lambda *event: (send(*event), arrived.set())
    thread = DeliveryThread(lambda: WatchState(state.folder), lambda own: Outbox(own, [hook]), seconds=0.01)
    thread.start()
    queue(state, "a")
    assert arrived.wait(20)
    thread.check()
    thread.stop()
    assert not thread.is_alive() and [key for key, _ in hook.sent] == ["a"]


def test_when_a_thread_breaks_then_check_raises_its_error(state):
    def broken(own):
        raise OSError("disk is full")

    thread = DeliveryThread(lambda: WatchState(state.folder), broken)
    thread.start()
    thread.join(20)
    with pytest.raises(OSError, match="disk is full"):
        thread.check()
