"""Files appear at random times, the watch is killed at random moments, the broker goes, the server fails.

Nothing is lost: one row for each recording, and each row arrives at least once everywhere, under one key.
"""

import hashlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import soundfile as sf
from watched import RATE, THRESHOLD, PeakJudge, sound

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.detection.hysteresis import held_alarms
from modeling_retainmix.watching.hooks import make_hooks
from modeling_retainmix.watching.service import WatchOptions, run_watch
from modeling_retainmix.watching.state import WatchState

pytestmark = pytest.mark.system

BROKER = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
NUM_KILLS, NUM_FILES = 20, 60
SECONDS = 20.0  # in which the files appear
MAX_FAILURES = 6  # of one event: the watch waits longer after each, 63 s in all
RAISE_AT, OF_LAST = 2, 3


class SlowJudge(PeakJudge):
    """As slow as an encoder, so that kills hit it while it works."""

    def judge(self, path):
        time.sleep(random.uniform(0, 0.1))
        return super().judge(path)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def failing_server(chance):
    """Keep {key: bodies} of requests that it took, and fail half of them: before or after it has kept them.

    An event fails at most `MAX_FAILURES` times: by chance alone one of sixty would now and then fail ten times, for
    which the watch waits a quarter of an hour.
    """
    arrived, num_failed = defaultdict(list), Counter()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            key = self.headers["Idempotency-Key"]
            luck = chance.random() if num_failed[key] < MAX_FAILURES else 1.0
            if luck >= 0.2:  # of these some are not told that they arrived
                arrived[key].append(body.decode())
            num_failed[key] += luck < 0.5
            if luck < 0.3:
                self.send_response(503)
            elif luck < 0.5:
                return  # no answer
            else:
                self.send_response(200)
            self.end_headers()

        def log_message(self, *message):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/events", arrived, num_failed
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Broker:
    """A mosquitto that can be stopped and started, and a subscriber that waits for it."""

    def __init__(self, folder):
        self.port, self.arrived, self._process = free_port(), defaultdict(list), None
        self._settings = folder / "mosquitto.conf"
        lines = [f"listener {self.port} 127.0.0.1", "allow_anonymous true", "persistence true", "user root"]
        lines += [f"persistence_location {folder}/", "max_queued_messages 0"]
        self._settings.write_text("\n".join(lines) + "\n")

    def __enter__(self):
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self.start()
        client = Client(CallbackAPIVersion.VERSION2, client_id="reader", clean_session=False)
        client.reconnect_delay_set(0.1, 0.5)
        client.on_connect = lambda client, *rest: client.subscribe("pump/7", qos=1)
        client.on_message = lambda client, data, message: self._take(message.payload.decode())
        for _ in range(100):
            try:
                client.connect("127.0.0.1", self.port)
                break
            except OSError:
                time.sleep(0.1)
        client.loop_start()
        self._client = client
        return self

    def __exit__(self, *error):
        self._client.disconnect()
        self._client.loop_stop()
        self.stop()

    def start(self):
        command = [BROKER, "-c", str(self._settings)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self):
        self._process.terminate()
        self._process.wait(20)

    def _take(self, payload):
        self.arrived[json.loads(payload)["key"]].append(payload)


class Recorder(threading.Thread):
    """Write files at random times, in pieces and in several ways; rename, copy and delete some."""

    def __init__(self, folder, aside, chance):
        super().__init__(daemon=True)
        self.peaks = {}  # of contents
        self._folder, self._aside, self._chance = folder, aside, chance

    def run(self):
        threads = []
        for number in range(NUM_FILES):
            time.sleep(self._chance.uniform(0, 2 * SECONDS / NUM_FILES))
            peak = self._chance.choice([0.1, 0.3, 0.7, 0.9])
            source = self._aside / f"{number}{self._chance.choice(['.wav', '.wav', '.flac'])}"
            sf.write(source, sound(peak, number, seconds=self._chance.uniform(0.3, 2)), RATE)
            content = source.read_bytes()
            self.peaks[hashlib.sha256(content).hexdigest()] = peak
            seed = self._chance.random()
            threads.append(threading.Thread(target=self._record, args=(source.name, content, random.Random(seed))))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def _record(self, name, content, chance):
        way = chance.choice(["plain", "part", "header last", "copied", "renamed"])
        path = self._folder / (f"{name}.part" if way == "part" else name)
        cuts = sorted(chance.sample(range(1, len(content)), 4))
        with path.open("wb", buffering=0) as file:
            if way == "header last" and name.endswith(".wav"):
                file.write(content[:40] + bytes(4))
                cuts = [cut for cut in cuts if cut > 44]
                pieces = zip([44, *cuts], [*cuts, len(content)], strict=True)
            else:
                pieces = zip([0, *cuts], [*cuts, len(content)], strict=True)
            for begin, end in pieces:
                file.write(content[begin:end])
                time.sleep(chance.uniform(0, 0.3))
            file.seek(0)
            file.write(content[:44])
        if way == "part":
            path.rename(self._folder / name)
        time.sleep(chance.uniform(0, 1))
        if way == "copied":
            shutil.copy(path, self._folder / f"copy_of_{name}")
        if way == "renamed":
            path.rename(self._folder / f"renamed_{name}")


def start_watch(options, addresses):
    process = multiprocessing.get_context("fork").Process(target=_watch, args=(options, addresses), daemon=True)
    process.start()
    return process


def _watch(options, addresses):
    random.seed(os.getpid())
    run_watch(options, SlowJudge(), make_hooks(*addresses))


def wait_until(is_done, seconds, what):
    for _ in range(round(seconds / 0.1)):
        if is_done():
            return
        time.sleep(0.1)
    pytest.fail(f"{what() if callable(what) else what} within {seconds} s")


@pytest.mark.skipif(not Path(BROKER).is_file(), reason="mosquitto is missing: .ci/install_system")
def test_when_the_watch_is_killed_twenty_times_then_nothing_is_lost_and_nothing_is_decided_twice(tmp_path):
    seed = int.from_bytes(os.urandom(4), "big")
    print("seed", seed)  # of a failure
    chance = random.Random(seed)
    folder, aside, log = tmp_path / "in", tmp_path / "aside", tmp_path / "command.log"
    folder.mkdir(), aside.mkdir()
    options = WatchOptions(folder, tmp_path / "state", RAISE_AT, OF_LAST, poll=0.05, trend=tmp_path / "trend.html")
    recorder = Recorder(folder, aside, random.Random(chance.random()))
    with failing_server(random.Random(chance.random())) as (url, posted, num_failed), Broker(tmp_path) as broker:
        addresses = ([f"tee -a {log}"], [url], [f"127.0.0.1:{broker.port}/pump/7"])
        recorder.start()
        stops = sorted(chance.sample(range(NUM_KILLS), 3))
        num_busy = 0
        for number in range(NUM_KILLS):
            process = start_watch(options, addresses)
            time.sleep(chance.uniform(0, 2 * SECONDS / NUM_KILLS))
            if number in stops:
                broker.stop()
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            assert process.exitcode == -signal.SIGKILL
            num_busy += recorder.is_alive()
            if number in stops:
                time.sleep(0.5)
                broker.start()
        recorder.join()
        assert len(recorder.peaks) == NUM_FILES and num_busy > 0  # on a busy machine kills come slower
        last = start_watch(options, addresses)
        with WatchState(options.state) as state:
            wait_until(lambda: len(state.recordings()) >= NUM_FILES, 600, "not all were decided")
            wait_until(lambda: not state.count_deliveries(), 600, lambda: f"{state.count_deliveries()} left")
            wait_until(lambda: len(broker.arrived) >= NUM_FILES, 600, "the subscriber has not got all")
            time.sleep(0.5)  # a second row of a copy would come now
            rows = state.recordings()
        os.kill(last.pid, signal.SIGKILL)
        last.join()
    assert sorted(one.content for one in rows) == sorted(recorder.peaks)
    assert [one.verdict for one in rows] == [
        "anomalous" if recorder.peaks[one.content] > THRESHOLD else "normal" for one in rows
    ]
    expected = held_alarms([one.is_anomalous for one in rows], RAISE_AT, OF_LAST)
    assert [one.is_alarm for one in rows] == expected.tolist()
    events = {one.content: one.event() for one in rows}
    commanded = defaultdict(list)
    for line in log.read_text().splitlines():
        commanded[json.loads(line)["key"]].append(line)
    for arrived in (posted, broker.arrived, commanded):
        assert all(len({*payloads}) == 1 for payloads in arrived.values())  # each try tells the same
        told = [json.loads(payloads[0]) for payloads in arrived.values()]
        assert {one.pop("key") for one in told} == {*arrived}
        assert {one["content"]: one for one in told} == events and len(told) == NUM_FILES
    assert num_failed.total() > NUM_FILES / 2 and not (options.state / "dead_letters.jsonl").exists()
    assert "trend" in options.trend.read_text()


def test_when_the_real_command_is_killed_and_terminated_then_the_next_one_goes_on(tmp_path):
    folder, healthy, log = tmp_path / "in", tmp_path / "healthy", tmp_path / "command.log"
    folder.mkdir(), healthy.mkdir()
    for seed in range(10):
        sf.write(healthy / f"healthy_{seed}.wav", sound(0.1 + 0.05 * seed, seed, seconds=2), RATE)
    detector = AnomalyDetector.from_pretrained("log-mel", device="cpu", backend="whitened", normalization="none")
    detector.fit(healthy, groups=[*"0123456789"]).save_pretrained(tmp_path / "detector")
    command = [sys.executable, "-m", "retainmix_cli", "watch", str(folder), "--detector", str(tmp_path / "detector")]
    command += ["--state", str(tmp_path / "state"), "--poll", "0.05", "--json", "--command", f"tee -a {log}"]

    def start(count, number):
        with (tmp_path / "out").open("a") as out:
            process = subprocess.Popen(command, stdout=out)
        try:
            with WatchState(tmp_path / "state") as state:
                sf.write(folder / f"{count}.wav", sound(0.2, 100 + count, seconds=2), RATE)
                wait_until(lambda: len(state.recordings()) >= count, 240, f"recording {count} was not decided")
            process.send_signal(number)
            return process.wait(600)
        finally:
            process.kill()

    assert start(1, signal.SIGKILL) == -signal.SIGKILL
    assert start(2, signal.SIGTERM) == 143
    with WatchState(tmp_path / "state") as state:
        assert [one.cause for one in state.recordings()] == [None, None]
        left = state.count_deliveries()
    assert len([*map(json.loads, log.read_text().splitlines())]) + sum(left.values()) >= 2
