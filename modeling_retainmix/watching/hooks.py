"""Who is told of each recording: a command, a web address, an MQTT broker. A hook sends one event, once."""

import hashlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx2

_COMMAND_SECONDS = 60
_NETWORK_SECONDS = 10
_TLS_PORT = 8883
_SHOWN = 300  # characters of an error


class DeliveryError(Exception):
    """An event did not arrive.

    Attributes:
        is_unreachable: nobody answered, so that other events would not arrive either.
    """

    def __init__(self, message: str, is_unreachable: bool = False) -> None:
        super().__init__(message[:_SHOWN])
        self.is_unreachable = is_unreachable


class Hook(Protocol):
    """Where events go.

    Attributes:
        id: tells hooks apart, also in another process.
        name: for people; without passwords.
    """

    id: str
    name: str

    def send(self, key: str, payload: str) -> None:
        """Send an event, and return when it has arrived.

        Args:
            key: idempotency key.
            payload: JSON.

        Raises:
            DeliveryError: it has not, or nobody knows.
        """


class CommandHook:
    """Run a command for each event, without a shell; it has arrived when the exit status is 0 within a minute.

    The command reads the event as JSON from its standard input. Its environment has `RETAINMIX_KEY`, the idempotency
    key.

    Args:
        command: program and arguments, as in a shell.

    Raises:
        ValueError: there is no such program, or a quote is not closed.
    """

    def __init__(self, command: str) -> None:
        self.id, self.name = _id("command", command), f"command {command}"
        try:
            self._arguments = shlex.split(command, posix=os.name != "nt")
        except ValueError as error:
            raise ValueError(f"--command {command!r} cannot be read ({error}): check its quotes") from error
        if not self._arguments or shutil.which(self._arguments[0]) is None:
            raise ValueError(f"--command {command!r}: there is no such program, check its path")

    def send(self, key: str, payload: str) -> None:
        """Send an event; see `Hook`."""
        try:
            result = subprocess.run(
                self._arguments,
                input=payload + "\n",
                env=os.environ | {"RETAINMIX_KEY": key},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                timeout=_COMMAND_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise DeliveryError(f"has not ended within {_COMMAND_SECONDS} s") from None
        except OSError as error:
            raise DeliveryError(f"cannot be run ({error.strerror})") from error
        if result.returncode != 0:
            told = " ".join(result.stderr.split())
            raise DeliveryError(f"exit status {result.returncode}{': ' if told else ''}{told}")


class PostHook:
    """POST each event as JSON to a web address; it has arrived when the answer is a status of 200 to 299.

    The header `Idempotency-Key` holds the key. Redirections are not followed.

    Args:
        url: `http://` or `https://`; a user and password in it are sent as basic authentication, and never shown.

    Raises:
        ValueError: it is no such address.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"--post {url!r} is not an address such as https://host/path")
        place = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
        self.id, self.name = _id("post", url), f"POST {parts.scheme}://{place}{parts.path}"
        self._url = url
        # Made once, which takes a while; every event has a connection of its own, which cannot have gone stale.
        self._client = httpx2.Client(timeout=_NETWORK_SECONDS, limits=httpx2.Limits(max_keepalive_connections=0))

    def send(self, key: str, payload: str) -> None:
        """Send an event; see `Hook`."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        try:
            answer = self._client.post(self._url, content=payload, headers=headers)
        except httpx2.HTTPError as error:
            raise DeliveryError(f"no answer ({error or type(error).__name__})", is_unreachable=True) from error
        if not 200 <= answer.status_code < 300:
            raise DeliveryError(f"status {answer.status_code}")


class MqttHook:
    """Publish each event as JSON to an MQTT broker, with quality of service 1; it has arrived when the broker says so.

    The key is in the event. A user and password are taken from `RETAINMIX_MQTT_USER` and `RETAINMIX_MQTT_PASSWORD`;
    port 8883 means TLS.

    Args:
        address: `HOST[:PORT]/TOPIC`.

    Raises:
        ValueError: it is no such address.
        ImportError: paho-mqtt is not installed.
    """

    def __init__(self, address: str) -> None:
        place, _, topic = address.partition("/")
        host, _, port = place.rpartition(":") if ":" in place else (place, "", "1883")
        if not host or not topic or not port.isdigit() or not 0 < int(port) < 2**16 or {"#", "+"} & set(topic):
            raise ValueError(f"--mqtt {address!r} is not HOST[:PORT]/TOPIC, such as broker.local:1883/pump/7")
        try:
            import paho.mqtt.client  # noqa: F401 (an optional extra)
        except ImportError:
            raise ImportError("--mqtt needs paho-mqtt: pip install retainmix[mqtt]") from None
        self.id, self.name = _id("mqtt", address), f"MQTT {address}"
        self._host, self._port, self._topic = host, int(port), topic

    def send(self, key: str, payload: str) -> None:
        """Send an event; see `Hook`."""
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        client: Any = Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
        client.connect_timeout = _NETWORK_SECONDS
        user = os.environ.get("RETAINMIX_MQTT_USER")
        if user:
            client.username_pw_set(user, os.environ.get("RETAINMIX_MQTT_PASSWORD"))
        if self._port == _TLS_PORT:
            client.tls_set()
        refused: list[str] = []

        def connected(_: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
            if reason.is_failure:
                refused.append(str(reason))

        client.on_connect = connected
        try:
            client.connect(self._host, self._port)
            client.loop_start()
            message = client.publish(self._topic, payload, qos=1)
            message.wait_for_publish(_NETWORK_SECONDS)
            if not message.is_published():
                raise DeliveryError(f"no receipt from the broker {''.join(refused[:1])}".strip(), is_unreachable=True)
        except (OSError, ValueError, RuntimeError) as error:
            raise DeliveryError(f"no connection ({error})", is_unreachable=True) from error
        finally:
            client.disconnect()
            client.loop_stop()


def make_hooks(commands: Sequence[str], urls: Sequence[str], brokers: Sequence[str]) -> list[Hook]:
    """Make the hooks of the command line; errors as those of the classes."""
    return [*map(CommandHook, commands), *map(PostHook, urls), *map(MqttHook, brokers)]


def _id(kind: str, address: str) -> str:
    return f"{kind}-{hashlib.sha256(address.encode()).hexdigest()[:12]}"
