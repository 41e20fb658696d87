"""The commands: exit codes, --json, --help, and what they say when something is wrong."""

import json
import os
import socket
import stat

import pytest

from flow.harness import (OLD_SECRET, SECRET, byron_orders, check_supplier, demo_config, orders_of, sluice,
                          wait_until)
from sandbox.client import request
from sandbox.orders import BYRON, UNMAPPED

COMMANDS = [line.split("  ")[1] for line in sluice("--help").out.splitlines() if line.startswith("  ")]
NEED_DAEMON = ["status", "events list", "events show 1", "deliveries list", "deliveries show 1.0", "dead list",
               "dead show 1.0", "dead replay 1.0", "dead discard 1.0", "held list", "held show 1.0",
               "held release 1.0", "held reject 1.0", "held arrived 1.0", "held send-again 1.0", "endpoints list",
               "try --endpoint acme-shop --topic orders/create -"]


@pytest.fixture
def with_dead_and_held(suppliers, byron):
    """Two dead letters, one held order."""
    byron.fault(action="status", at="order", status=422, count=2)
    for order in [*byron_orders(2), *orders_of(UNMAPPED)]:
        suppliers.post(order)
    wait_until(lambda: suppliers.states() == {"dead": 2, "held": 1})
    return suppliers


def ids(gateway, state):
    return [one["id"] for one in gateway.deliveries(state=state)]


# ---- help and usage ----


def test_help_names_every_command_of_this_version():
    assert {"run", "check", "status", "events list", "events show", "dead list", "dead show", "dead replay",
            "dead discard", "held list", "held release", "held reject", "try", "version"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    done = sluice(*command.split(), "--help")
    assert done.code == 0 and done.err == ""
    assert done.out.startswith(f"usage: sluice {command}") and "--json" in done.out


@pytest.mark.parametrize("args, said", [
    (["stauts"], 'did you mean "status"?'), (["dead", "reply"], "dead replay"), (["status", "--wrong"], "--wrong"),
    (["status", "superfluous"], "superfluous"), (["check", "-c"], "-c"), (["dead", "replay"], "--all"),
    (["replay"], "--dead"), (["dead", "--wrong"], "sluice dead list"),
    (["held", "release", "--all", "1.0"], "not both"), ([], "usage"),
])
def test_wrong_usage_is_2_and_says_what_would_be_right(args, said):
    done = sluice(*args)
    assert done.code == 2 and done.out == "" and said in done.err


def test_version_is_said_in_both_forms():
    assert sluice("version").out.startswith("sluice ")
    told = sluice("version", "--json").json
    assert sluice("--version").out == f"sluice {told['version']} (plugin ABI {told['abi']})\n"


# ---- check ----


def test_a_good_configuration_is_0_and_a_bad_one_3_with_file_line_and_column(make_gateway):
    gateway = make_gateway(demo_config("http://127.0.0.1:1"), start=False)
    assert gateway.cli("check").json == {"ok": True, "errors": [], "orphans": []}
    gateway.file.write_text(gateway.file.read_text().replace("priority: critical", "priorty: critical"))
    done = gateway.cli("check", ok=False)
    assert done.code == 3
    wrong = done.json["errors"]
    lines = gateway.file.read_text().splitlines()
    line = next(at for at, text in enumerate(lines, 1) if "priorty" in text)
    assert [(one["file"], one["line"]) for one in wrong] == [(str(gateway.file), line)]
    assert lines[line - 1][wrong[0]["column"] - 1:].startswith("priorty")
    assert 'did you mean "priority"?' in wrong[0]["text"]
    assert f"{gateway.file}:{line}:" in sluice("check", "-c", gateway.file, env=gateway.env).err


def test_what_an_adapter_refuses_is_shown_at_the_setting_it_names(make_gateway):
    config = demo_config("http://127.0.0.1:1")
    config["endpoints"]["byron"]["confirm"] = {"path": "/orders/@{kee}"}
    gateway = make_gateway(config, start=False)
    lines = gateway.file.read_text().splitlines()
    wrong = gateway.cli("check", ok=False).json["errors"]
    assert len(wrong) == 1 and "confirm.path: unknown placeholder" in wrong[0]["text"]
    assert lines[wrong[0]["line"] - 1][wrong[0]["column"] - 1:] == "/orders/@{kee}"


def test_a_configuration_that_is_not_there_is_3(tmp_path):
    done = sluice("check", "-c", tmp_path / "none.yaml")
    assert done.code == 3 and "none.yaml" in done.err


def test_a_missing_secret_is_3_unless_the_check_is_told_to_do_without(make_gateway):
    gateway = make_gateway(demo_config("http://127.0.0.1:1"), start=False)
    del gateway.env["DEMO_BYRON_AUTHORIZATION"]
    done = gateway.cli("check", ok=False)
    assert done.code == 3 and "DEMO_BYRON_AUTHORIZATION" in done.out
    gateway.cli("check", "--no-secrets")


def test_no_secret_is_ever_printed(with_dead_and_held):
    gateway = with_dead_and_held
    said = [gateway.log(), json.dumps(gateway.metrics())]
    for command in ("status", "events list", "deliveries list", "check"):
        said.append(repr(gateway.cli(*command.split())))
    for one in gateway.get("/v1/events"):
        said.append(repr(gateway.cli("events", "show", one["id"])))
    for one in gateway.deliveries():
        said.append(repr(gateway.cli("deliveries", "show", one["id"])))
    for secret in (SECRET, OLD_SECRET, "b-token", "n-token"):
        assert not any(secret in text for text in said)


# ---- asking the daemon ----


@pytest.mark.parametrize("command", NEED_DAEMON)
def test_without_a_daemon_it_is_6(make_gateway, command):
    gateway = make_gateway(demo_config("http://127.0.0.1:1"), start=False)
    done = gateway.cli(*command.split(), ok=False, stdin="{}")
    assert done.code == 6 and "admin.sock" in done.err
    assert done.json["exit"] == 6 and "admin.sock" in done.json["detail"]  # with --json a program can read it


def test_what_the_lists_say_is_json_and_readable(with_dead_and_held):
    gateway = with_dead_and_held
    status = gateway.cli("status").json
    assert status["ready"] is True and {one["endpoint"] for one in status["lanes"]} >= {"byron", "nord"}
    assert [one["state"] for one in gateway.cli("dead", "list").json] == ["dead", "dead"]
    assert [one["hold_type"] for one in gateway.cli("held", "list").json] == ["unmapped-vendor"]
    assert len(gateway.cli("deliveries", "list").json) == 3
    assert len(gateway.cli("events", "list", "--topic", "orders/create").json) == 3
    assert gateway.cli("endpoints", "list").json
    assert status["store"]["keep_ms"] == 28 * 86400_000
    for command, word in (("status", "28 days of events; the oldest is of 20"), ("status", "byron"), ("dead list", "order-to-supplier"),
                          ("held list", "unmapped-vendor"), ("events list", "orders/create"),
                          ("endpoints list", "closed")):
        done = sluice(*command.split(), "-c", gateway.file, env=gateway.env)
        assert done.code == 0 and word in done.out


def test_what_is_not_there_is_4(with_dead_and_held):
    gateway = with_dead_and_held
    for command in ("dead show 99999.0", "events show 99999", "dead replay 99999.0", "endpoints unpark nobody",
                    "routes resume nobody"):
        done = gateway.cli(*command.split(), ok=False)
        assert done.code == 4, done


def test_what_the_state_does_not_allow_is_5_and_says_why(with_dead_and_held):
    gateway = with_dead_and_held
    done = gateway.cli("dead", "replay", ids(gateway, "held")[0], ok=False)
    assert done.code == 5 and "it is held" in done.json["results"][0]["text"]
    done = gateway.cli("held", "release", ids(gateway, "held")[0], ok=False)  # to whom?
    assert done.code == 5 and "--to" in done.json["results"][0]["text"]
    assert gateway.states() == {"dead": 2, "held": 1}


def test_a_bulk_of_which_a_part_failed_is_7_and_the_rest_is_done(with_dead_and_held, byron):
    gateway = with_dead_and_held
    done = gateway.cli("dead", "replay", ids(gateway, "dead")[0], ids(gateway, "held")[0], "99999.0", ok=False)
    assert done.code == 7
    assert sorted(one["status"] for one in done.json["results"]) == ["done", "not_found", "refused"]
    wait_until(lambda: gateway.states() == {"dead": 1, "held": 1, "delivered": 1})


def test_all_is_asked_for_by_name_and_can_be_looked_at_first(with_dead_and_held, byron):
    gateway = with_dead_and_held
    done = gateway.cli("dead", "replay", "--all", "--dry-run")
    assert done.json["matched"] == 2 and gateway.states() == {"dead": 2, "held": 1}
    assert gateway.cli("dead", "replay", "--all", "--endpoint", "nord").json["matched"] == 0
    unknown = gateway.cli("dead", "replay", "--all", "--priority", "urgent", ok=False)
    assert "critical, high, normal or low" in unknown.err
    gateway.cli("dead", "replay", "--all", "--priority", "high", "--why", "the catalogue is mended")
    wait_until(lambda: gateway.states() == {"delivered": 2, "held": 1})
    check_supplier(byron.books(), BYRON, byron_orders(2))
    moves = gateway.get(f"/v1/deliveries/{ids(gateway, 'delivered')[0]}")["moves"]
    assert any(one["reason"] == "the catalogue is mended" for one in moves)


def test_a_held_order_can_be_rejected_and_is_then_a_dead_letter(with_dead_and_held):
    gateway = with_dead_and_held
    gateway.cli("held", "reject", ids(gateway, "held")[0], "--why", "fraud")
    assert gateway.states() == {"dead": 3}


def test_a_breaker_is_tripped_and_reset_by_hand(suppliers, byron):
    assert suppliers.api("POST", "/v1/endpoints/byron/trip", {"why": 5})[0] == 400
    assert suppliers.lane("byron")["breaker"] == "closed"
    suppliers.cli("endpoints", "trip", "byron")
    suppliers.post(byron_orders()[0])
    wait_until(lambda: suppliers.lane("byron")["ready"] == 1)
    assert suppliers.lane("byron")["breaker"] == "open"
    suppliers.cli("endpoints", "reset", "byron")
    wait_until(lambda: suppliers.lane("byron")["delivered"] == 1)


def test_try_reads_standard_input_and_a_file_that_is_not_there_is_1(suppliers, tmp_path):
    order = byron_orders()[0]
    args = ["try", "--endpoint", "acme-shop", "--topic", "orders/create"]
    said = suppliers.cli(*args, "-", stdin=order.body.decode()).json
    assert [one["to"] for one in said["deliveries"]] == ["byron"]
    assert suppliers.cli(*args, tmp_path / "none.json", ok=False).code == 1
    assert suppliers.cli("try", "--endpoint", "nobody", "--topic", "x", "-", ok=False, stdin="{}").code == 4


# ---- who may ask ----


def test_the_socket_is_for_its_owner_and_group_and_tcp_wants_the_token(make_gateway, byron):
    gateway = make_gateway(demo_config(byron.url, admin={"token": {"env": "ADMIN_TOKEN"}}),
                           {"ADMIN_TOKEN": "let-me-in"})
    assert stat.S_IMODE(os.stat(gateway.socket).st_mode) == 0o660
    assert request(gateway.admin_url, "GET", "/livez")[0] == 200
    assert request(gateway.admin_url, "GET", "/v1/status")[0] == 401
    assert request(gateway.admin_url, "GET", "/v1/status", headers={"Authorization": "Bearer no"})[0] == 401
    good = {"Authorization": "Bearer let-me-in"}
    assert request(gateway.admin_url, "GET", "/v1/status", headers=good)[0] == 200
    assert request(gateway.admin_url, "GET", "/v1/status", headers={**good, "Host": "evil.example"})[0] == 421


def test_without_a_token_tcp_serves_health_and_metrics_only(suppliers):
    assert request(suppliers.admin_url, "GET", "/v1/status")[0] == 403
    assert suppliers.metrics()['sluice_webhooks_total{result="received"}'] == 0


def test_a_peer_that_goes_away_in_the_middle_of_a_question_harms_nothing(suppliers):
    for _ in range(20):
        line = socket.socket(socket.AF_UNIX)
        line.connect(suppliers.socket)
        line.sendall(b"GET /v1/deliveries HTTP/1.1\r\nHost: localhost\r\n\r\n")
        line.close()
    assert suppliers.cli("status").json["ready"] is True
