"""A command, a web address and a broker: what they get, and when an event counts as arrived."""

import json
import socket
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from modeling_retainmix.watching import hooks
from modeling_retainmix.watching.hooks import CommandHook, DeliveryError, MqttHook, PostHook, make_hooks


def command(*code):
    return f"{sys.executable} -S -c '{'; '.join(code)}'"


def test_a_command_reads_json_and_finds_the_key_in_its_environment(tmp_path):
    out = tmp_path / "out"
    hook = CommandHook(
        command("import os, sys", f'open("{out}", "w").write(os.environ["RETAINMIX_KEY"] + " " + sys.stdin.read())')
    )
    hook.send("k1", json.dumps({"name": "größe"}))
    key, told = out.read_text().split(" ", 1)
    assert key == "k1" and json.loads(told) == {"name": "größe"}


def test_when_a_command_fails_or_hangs_then_error_says_how(monkeypatch):
    with pytest.raises(DeliveryError, match="exit status 3: no mail server") as caught:
        CommandHook(command("import sys", 'print("no mail server", file=sys.stderr)', "sys.exit(3)")).send("k", "{}")
    assert not caught.value.is_unreachable
    monkeypatch.setattr(hooks, "_COMMAND_SECONDS", 0.2)
    with pytest.raises(DeliveryError, match="has not ended within"):
        CommandHook(command("import time", "time.sleep(30)")).send("k", "{}")


def test_when_a_command_does_not_read_its_input_then_it_may_still_succeed():
    CommandHook("true").send("k", "x" * 200_000)


@pytest.mark.parametrize(
    ("make", "value", "message"),
    [
        (CommandHook, "no-such-program-here --x", "no such program"),
        (CommandHook, "", "no such program"),
        (CommandHook, "echo 'a", "check its quotes"),
        (PostHook, "ftp://host/x", "is not an address"),
        (PostHook, "host/x", "is not an address"),
        (MqttHook, "broker", "HOST"),
        (MqttHook, "broker:x/topic", "HOST"),
        (MqttHook, "broker/a/#", "HOST"),
        (MqttHook, "broker:70000/a", "HOST"),
    ],
)
def test_when_a_hook_is_not_valid_then_error_before_anything_is_sent(make, value, message):
    with pytest.raises(ValueError, match=message):
        make(value)


def test_passwords_of_an_address_are_not_shown_and_still_tell_hooks_apart():
    one, other = (PostHook(f"https://user:{word}@host:8443/x?token={word}") for word in ("secret", "hidden"))
    assert one.name == other.name == "POST https://host:8443/x" and one.id != other.id


def test_hooks_of_the_command_line_are_made_in_order():
    made = make_hooks(["true"], ["http://host/x"], ["broker:1884/pump/7"])
    assert [hook.name for hook in made] == ["command true", "POST http://host/x", "MQTT broker:1884/pump/7"]
    assert len({hook.id for hook in made}) == 3


@contextmanager
def web_server(*statuses):
    """Answer each request with the next status; 0 closes the connection."""
    left, requests = list(statuses), []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            requests.append((self.headers, body))
            status = left.pop(0)
            if status:
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

        def log_message(self, *message):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/x", requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_post_carries_json_and_the_key_and_only_success_is_an_arrival():
    with web_server(204, 500, 302, 0) as (url, requests):
        hook = PostHook(url)
        hook.send("k1", '{"a": 1}')
        headers, body = requests[0]
        assert (headers["Idempotency-Key"], headers["Content-Type"], body) == ("k1", "application/json", b'{"a": 1}')
        for status in (500, 302):
            with pytest.raises(DeliveryError, match=f"status {status}") as caught:
                hook.send("k2", "{}")
            assert not caught.value.is_unreachable
        with pytest.raises(DeliveryError, match="no answer") as caught:
            hook.send("k2", "{}")
        assert caught.value.is_unreachable and len(requests) == 4


def test_when_nobody_listens_then_the_hook_is_unreachable():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for hook in (PostHook(f"http://127.0.0.1:{port}/x"), MqttHook(f"127.0.0.1:{port}/pump")):
        with pytest.raises(DeliveryError) as caught:
            hook.send("k", "{}")
        assert caught.value.is_unreachable


def test_when_paho_is_missing_then_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(ImportError, match=r"retainmix\[mqtt\]"):
        MqttHook("broker/pump")
