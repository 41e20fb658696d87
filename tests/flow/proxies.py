"""Real proxies in front of the gateway, each from the sample in conf/: only addresses, TLS and logs are changed.

    with PROXIES["haproxy"](folder, gateway.port) as proxy:
        proxy.url, proxy.port
        proxy.forwarded()       # what it passed on, by its own log: [(method, target, host)]

`everything`: not only /in/ is passed on.
"""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import urllib.parse

from flow.harness import ROOT, free_port, wait_until


def replace(text, pattern, by):
    """As re.sub, but the pattern must be there: a sample that changes is noticed."""
    changed, count = re.subn(pattern, lambda _: by, text, flags=re.M)
    assert count, f"{pattern!r} does not stand in the sample"
    return changed


class Proxy:
    name = package = None

    def __init__(self, folder, upstream, everything=False):
        self.folder, self.upstream, self.everything = pathlib.Path(folder) / self.name, upstream, everything
        self.folder.mkdir(parents=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.program = shutil.which(self.name, path="/usr/sbin:/usr/local/sbin:/usr/bin:/bin")
        assert self.program, f"{self.name} is not installed (Debian: {self.package})"
        self.process = None

    def __enter__(self):
        config = self.folder / "config"
        config.write_text(self.config())
        with open(self.folder / "stdout", "wb") as out, open(self.folder / "stderr", "wb") as err:
            self.process = subprocess.Popen(
                [self.program, *self.arguments(config)], stdout=out, stderr=err, stdin=subprocess.DEVNULL,
                env={**os.environ, "HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder),
                     "XDG_CONFIG_HOME": str(self.folder)})
        try:
            wait_until(self.listens, f"{self.name} listens")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *unused):
        self.stop()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def sample(self, name):
        return (ROOT / "conf" / name).read_text()

    def said(self):
        return (self.folder / "stdout").read_text(errors="replace") + \
            (self.folder / "stderr").read_text(errors="replace")

    def listens(self):
        assert self.process.poll() is None, self.said()[-4000:]
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False


class Nginx(Proxy):
    name, package = "nginx", "nginx-light"

    def config(self):
        site = self.sample("nginx.conf")
        site = replace(site, r"listen 443 ssl;", f"listen 127.0.0.1:{self.port};")
        site = replace(site, r"^ *ssl_certificate.*$", "")
        site = replace(site, r"server 127\.0\.0\.1:8080;", f"server 127.0.0.1:{self.upstream};")
        if self.everything:
            site = replace(site, r"location /in/ ", "location / ")
            site = replace(site, r"location / \{\n\s*return 404;.*\n\s*\}", "")
        places = "".join(f"    {name}_temp_path {self.folder}/{name};\n"
                         for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        return (f"daemon off; master_process off; pid {self.folder}/pid; error_log {self.folder}/error.log warn;\n"
                "events { worker_connections 4096; }\nhttp {\n" + places +
                "log_format passed '$upstream_status $request_method $request_uri $host';\n"
                f"access_log {self.folder}/access.log passed;\n" + site + "}\n")

    def arguments(self, config):
        return ["-p", str(self.folder), "-e", str(self.folder / "error.log"), "-c", str(config)]

    def said(self):
        errors = self.folder / "error.log"
        return super().said() + (errors.read_text(errors="replace") if errors.exists() else "")

    def forwarded(self):
        found = []
        for line in (self.folder / "access.log").read_text(errors="replace").splitlines():
            status, method, target, host = line.split(" ", 3)
            if status != "-":
                found.append((method, target, host))
        return found


class HAProxy(Proxy):
    name = package = "haproxy"

    def config(self):
        text = self.sample("haproxy.cfg")
        text = replace(text, r"bind :443 ssl .*$", f"bind 127.0.0.1:{self.port}")
        text = replace(text, r"server sluice 127\.0\.0\.1:8080", f"server sluice 127.0.0.1:{self.upstream}")
        text = replace(text, r"maxconn 20000", "maxconn 2000")  # without room for descriptors it does not start
        # one thread: of two that log at the same moment it lets one drop its line
        text = replace(text, r"^global$", "global\n    nbthread 1\n    log stdout format raw local0")
        text = replace(text, r"^    default_backend", "    log global\n"
                       "    http-request set-var(txn.host) req.hdr(host)\n"
                       "    log-format \"passed %s %HM %HU %[var(txn.host)]\"\n    default_backend")
        if self.everything:
            text = replace(text, r"^ *http-request return status 404.*$", "")
        return text

    def arguments(self, config):
        return ["-db", "-f", str(config)]

    def forwarded(self):
        found = []
        for line in (self.folder / "stdout").read_text(errors="replace").splitlines():
            if line.startswith("passed sluice "):
                _, _, method, target, host = (line + " -").split(" ")[:5]
                found.append((method, target, host))
        return found


class Caddy(Proxy):
    name = package = "caddy"

    def config(self):
        text = self.sample("Caddyfile")
        text = replace(text, r"^hooks\.example\.com \{", f"http://:{self.port} {{\n\tbind 127.0.0.1\n"
                       f"\tlog {{\n\t\toutput file {self.folder}/access.log\n\t\tformat json\n\t}}")
        text = replace(text, r"reverse_proxy 127\.0\.0\.1:8080", f"reverse_proxy 127.0.0.1:{self.upstream}")
        if self.everything:
            text = replace(text, r"handle /in/\* ", "handle ")
            text = replace(text, r"handle \{\n\s*respond 404\n\s*\}", "")
        return "{\n\tadmin off\n\tauto_https off\n}\n" + text

    def arguments(self, config):
        return ["run", "--config", str(config), "--adapter", "caddyfile"]

    def forwarded(self):
        found = []
        for line in (self.folder / "access.log").read_text(errors="replace").splitlines():
            one = json.loads(line)
            if "X-Seen" in one.get("resp_headers", {}):
                # it fills in a host, writes paths in their plain form, and takes "http://evil/" apart
                target = re.sub(r"^http://[^/]*", "", one["request"]["uri"])
                found.append((one["request"]["method"], urllib.parse.quote(target, safe="/?&=%*.~-_"),
                              one["request"]["host"] or f"127.0.0.1:{self.upstream}"))
        return found


PROXIES = {one.name: one for one in (Nginx, HAProxy, Caddy)}
