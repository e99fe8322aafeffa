"""The broker fixture itself: a real mosquitto."""

import subprocess
from collections.abc import Callable

from fixtures.broker import Broker


def _retained(broker: Broker, *extra: str) -> subprocess.CompletedProcess[str]:
    where = ["-h", broker.host, "-p", str(broker.port), *extra]
    read = ["mosquitto_sub", *where, "-t", "a", "-C", "1", "-W", "5"]
    return subprocess.run(read, capture_output=True, text=True, check=False)


def test_a_broker_keeps_what_is_retained_over_a_stop(broker: Broker) -> None:
    where = ["-h", broker.host, "-p", str(broker.port)]
    subprocess.run(["mosquitto_pub", *where, "-t", "a", "-m", "kept", "-r", "-q", "1"], check=True)
    broker.stop()
    broker.start()
    assert _retained(broker).stdout.strip() == "kept"


def test_a_broker_with_users_lets_in_nobody_else(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker(users={"gateway": "seven words"})
    assert _retained(broker).returncode != 0
    user = ["-u", "gateway", "-P", "seven words"]
    where = ["-h", broker.host, "-p", str(broker.port), *user]
    subprocess.run(["mosquitto_pub", *where, "-t", "a", "-m", "kept", "-r", "-q", "1"], check=True)
    assert _retained(broker, *user).stdout.strip() == "kept"
