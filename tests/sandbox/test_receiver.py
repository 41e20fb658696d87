"""The receiver stand-in: its own signature check, and what it remembers."""

import base64
import hashlib
import hmac
import time

import pytest

from sandbox.client import Process, request
from sandbox.receiver import BadSignature, verify

# the example that the Standard Webhooks libraries are tested with
SECRET, ID, TIME = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330"
BODY, SIGNATURE = b'{"test": 2432232314}', "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
OTHER = "whsec_" + base64.b64encode(bytes(range(24))).decode()


def headers(**changes):
    return {"webhook-id": ID, "webhook-timestamp": TIME, "webhook-signature": SIGNATURE,
            **{f"webhook-{name}": value for name, value in changes.items()}}


def test_the_published_example_is_verified():
    assert verify([SECRET], headers(), BODY, int(TIME)) == ID
    assert verify([OTHER, SECRET], headers(), BODY, int(TIME) + 299) == ID
    assert verify([SECRET], headers(signature=f"v1,AAAA v1a,BBBB {SIGNATURE}"), BODY, int(TIME)) == ID


@pytest.mark.parametrize("changed, body, now", [
    (headers(id="msg_other"), BODY, TIME), (headers(timestamp="1614265331"), BODY, TIME),
    (headers(), BODY + b" ", TIME), (headers(signature=SIGNATURE[3:]), BODY, TIME),
    (headers(signature=SIGNATURE.replace("v1,", "v2,")), BODY, TIME), (headers(signature=""), BODY, TIME),
    (headers(timestamp="now"), BODY, TIME), (headers(), BODY, "1614265631"), (headers(), BODY, "1614265029"),
])
def test_anything_else_is_not(changed, body, now):
    with pytest.raises(BadSignature):
        verify([SECRET], changed, body, int(now))


def test_a_message_is_kept_and_its_repetition_changes_nothing():
    stamp = str(int(time.time()))
    mac = hmac.new(bytes(range(24)), b"m1." + stamp.encode() + b"." + BODY, hashlib.sha256).digest()
    signed = {"webhook-id": "m1", "webhook-timestamp": stamp,
              "webhook-signature": "v1," + base64.b64encode(mac).decode()}
    with Process("receiver", "--secret", OTHER, "--by-id") as receiver:
        first = request(receiver.url, "PUT", "/a?b=c", BODY, signed)
        again = request(receiver.url, "PUT", "/a?b=c", BODY, signed)
        unsigned = request(receiver.url, "PUT", "/a?b=c", BODY)
        books = receiver.books()
    assert (first[0], first[2]) == (again[0], again[2]) == (200, b'{"ok":true,"id":"msg-1"}')
    assert unsigned[0] == 401
    (kept,) = books["messages"]
    assert (kept["method"], kept["path"], kept["raw"].encode()) == ("PUT", "/a?b=c", BODY)
    assert len(books["replays"]) == 1 and len(books["refused"]) == 1
