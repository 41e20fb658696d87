"""Drives stand-ins from tests and demos without aiohttp: starts them as processes, asks and steers them.

    with Process("supplier", "--idempotency", "key", "--token", "t") as nord:
        nord.fault(action="cut_after", at="order", count=1)
        ...
        assert nord.books()["doubles"] == {}
"""

import http.client
import json
import os
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

ANY_CERTIFICATE = ssl.create_default_context()  # a test's own certificate is not what is tested here
ANY_CERTIFICATE.check_hostname = False
ANY_CERTIFICATE.verify_mode = ssl.CERT_NONE


def request(url, method, path, body=None, headers=None, timeout=20):
    """One plain HTTP request on a connection of its own: (status, headers, bytes).

    No redirects, no error raised for a status; a broken exchange raises what http.client raises.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout,
                                                 context=ANY_CERTIFICATE)
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            headers = {"Content-Type": "application/json", **(headers or {})}
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


HERE = os.path.dirname(os.path.abspath(__file__))


class Control:
    """The control API of a running stand-in at `url`."""

    def __init__(self, url):
        self.url = url

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_control/{path}", data=data, method=method,
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60, context=ANY_CERTIFICATE) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refused:
            raise RuntimeError(f"{method} {path}: {refused.code} {refused.read().decode()}") from None

    def books(self):
        return self.call("GET", "books")

    def health(self):
        return self.call("GET", "health")

    def fault(self, **rule):
        """Adds one rule."""
        return self.call("POST", "faults", rule)

    def faults(self, rules, replace=True):
        return self.call("POST", "faults", {"rules": rules, "replace": replace})

    def clear_faults(self):
        return self.call("DELETE", "faults")

    def reset(self):
        return self.call("POST", "reset")

    def records(self, sobject):
        """Salesforce only: the stored records of one object."""
        return self.call("GET", "records?" + urllib.parse.urlencode({"object": sobject}))["records"]


class Process(Control):
    """A stand-in as a process of its own. `name` is the module: "salesforce", "supplier", "receiver", "shopify"."""

    def __init__(self, name, *args, stderr=None):
        self.process = subprocess.Popen([sys.executable, os.path.join(HERE, name + ".py"), *map(str, args)],
                                        stdout=subprocess.PIPE, stderr=stderr, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{name} did not start: exit code {self.process.wait()}")
        self.port = json.loads(line)["port"]
        scheme = "https" if "--tls-cert" in args else "http"
        super().__init__(f"{scheme}://127.0.0.1:{self.port}")

    def stop(self):
        """Asks it to end (the books file is written then) and waits."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop()
