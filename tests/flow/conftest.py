"""The stand-ins, started once and as new for each test; and a gateway that is always ended."""

import http.server
import json
import threading

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

pytest.register_assert_rewrite("flow.harness")

from flow.harness import BYRON_TOKEN, NORD_TOKEN, SLUICE, Gateway, demo_config  # noqa: E402
from sandbox.client import Process  # noqa: E402


def pytest_configure(config):
    if not SLUICE.exists():
        pytest.exit(f"{SLUICE} is not there: run ./dev build, or set SLUICE_BUILD", 2)


@pytest.fixture(scope="session")
def processes(tmp_path_factory):
    """All stand-ins and the CRM's key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = tmp_path_factory.mktemp("crm") / "public.pem"
    public.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM,
                                                     serialization.PublicFormat.SubjectPublicKeyInfo))
    with Process("supplier", "--idempotency", "key", "--name", "byron", "--token", BYRON_TOKEN) as byron, \
            Process("supplier", "--idempotency", "none", "--name", "nord", "--token", NORD_TOKEN) as nord, \
            Process("salesforce", "--public-key", public, "--processing-ms", 100) as crm:
        crm.private_key = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                            serialization.NoEncryption()).decode()
        yield {"byron": byron, "nord": nord, "crm": crm}


@pytest.fixture
def byron(processes):
    """A supplier that honours an idempotency key."""
    processes["byron"].reset()
    return processes["byron"]


@pytest.fixture
def nord(processes):
    """A supplier that does not: a second POST is a second order."""
    processes["nord"].reset()
    return processes["nord"]


@pytest.fixture
def crm(processes):
    processes["crm"].reset()
    return processes["crm"]


@pytest.fixture(scope="session")
def receiver_process():
    with Process("receiver") as receiver:
        yield receiver


@pytest.fixture(scope="session")
def other_receiver_process():
    with Process("receiver") as receiver:
        yield receiver


@pytest.fixture
def desk(receiver_process):
    """A remote that takes any JSON by a request and remembers it: where people read what becomes of orders."""
    receiver_process.reset()
    return receiver_process


@pytest.fixture
def erp(desk):
    """The same remote, in the stories in which it keeps the books."""
    return desk


@pytest.fixture
def chat(other_receiver_process):
    """Another one of its kind."""
    other_receiver_process.reset()
    return other_receiver_process


@pytest.fixture
def make_gateway(tmp_path):
    """make_gateway(config): one that runs; after the test it is stopped, and how it ends is checked."""
    made = []

    def make(config, env=None, start=True, plugins=()):
        folder = tmp_path / f"gateway-{len(made)}"
        folder.mkdir()
        gateway = Gateway(folder, config, env, plugins)
        made.append(gateway)
        return gateway.start() if start else gateway

    yield make
    try:
        for gateway in made:
            if gateway.running:
                gateway.stop()
    finally:
        for gateway in made:
            print(f"---- {gateway.log_path}\n{gateway.log()[-12000:]}")
            if gateway.running:
                gateway.kill9()


@pytest.fixture
def suppliers(make_gateway, byron, nord):
    """A gateway with both suppliers and no CRM."""
    return make_gateway(demo_config(byron.url, nord.url))


class AlertReceiver:
    """Takes the alerts' POSTs; `alerts` are their bodies."""

    def __init__(self):
        receiver = self
        self.alerts = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.alerts.append(json.loads(body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *unused):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/alerts"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def of(self, kind, **fields):
        """Those of one kind whose fields are so."""
        return [one for one in list(self.alerts) if one["alert"] == kind
                and all(one.get(name) == value for name, value in fields.items())]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def alert_receiver():
    receiver = AlertReceiver()
    yield receiver
    receiver.close()
