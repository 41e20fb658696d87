"""F24: an event or a delivery that ends the process whenever its plugin touches it is set aside at the
third time, a feed is put off, and the rest goes on. The plugin of these tests crashes on purpose."""

import copy
import http.client
import os
import subprocess

import pytest

from flow.harness import BUILD, ROOT, Late, wait_until
from sandbox.client import request

pytestmark = pytest.mark.fault("F24")
SANITIZED = "asan" in BUILD.name

FUSE = r"""
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sluice/sluice.h>

#define TEXT(s) ((sl_str){ (s), sizeof(s) - 1 })

static int has(sl_str s, const char *word) { return s.len && memmem(s.ptr, s.len, word, strlen(word)) != NULL; }

static sl_status fuse_open(const sl_host *host, void **ret, sl_fail *fail)
{ (void)fail; *ret = (void *)host; return SL_OK; }
static void fuse_close(void *self) { (void)self; }

static sl_status fuse_verify(void *self, const sl_head *head, sl_verdict *v, sl_fail *fail)
{
    (void)self; (void)head; (void)fail;
    v->scheme = SL_SIGNED_NOT;
    v->topic = TEXT("parcel");
    return SL_OK;
}

static sl_status fuse_describe(void *self, const sl_event *e, const sl_describe_out *out, sl_fail *fail)
{
    (void)self; (void)fail; (void)out;
    if (has(e->body, "ends-describe"))
        abort();
    return SL_OK;
}

static void fuse_deliver(void *self, void *handle, const sl_batch *b, const sl_done *done)
{
    sl_outcome o = { .size = sizeof(o), .kind = SL_DELIVERED };

    (void)self; (void)handle;
    if (has(b->records[0].body, "ends-deliver"))
        raise_now();
    done->outcome(done->ctx, 0, &o);
    done->finish(done->ctx);
}

/* ends the process in a later turn, as most of a poll's work is one */
static void fuse_poll_more(void *ctx)
{
    const sl_poll_out *out = ctx;

    if (access(POISON, F_OK) == 0)
        abort();
    out->finish(out->ctx, SL_OK, TEXT(""), 0);
}

static void fuse_poll(void *self, void *handle, sl_str cursor, const sl_poll_out *out)
{
    const sl_host *host = self;

    (void)handle; (void)cursor;
    host->timer(host->ctx, 50, fuse_poll_more, (void *)out);
}

static const sl_feed feeds[] = { { .name = "look", .flags = SL_FEED_SWEEP }, { 0 } };

static const sl_action actions[] = {
    { .name = "take", .flags = SL_ACTION_IDEMPOTENT, .batch_records = 1 }, { 0 },
};

static const sl_plugin plugin = {
    .size = sizeof(plugin), .abi_minor = SL_ABI_MINOR, .name = "fuse", .actions = actions,
    .open = fuse_open, .close = fuse_close, .verify = fuse_verify, .describe = fuse_describe,
    .deliver = fuse_deliver, .feeds = feeds, .poll = fuse_poll,
};
SL_EXPORT const sl_plugin *sl_plugin_v0(void) { return &plugin; }
""".replace("raise_now()", "*(volatile int *)8 = 1")  # SIGSEGV, where describe's is an abort

CONFIG = {
    "endpoints": {"fuse": {"adapter": "fuse", "retry": {"first": "50ms"}}},
    "routes": [{"name": "parcels", "from": {"endpoint": "fuse", "topic": "parcel"},
                "to": {"endpoint": "fuse", "action": "take"}}],
}


@pytest.fixture
def gateway(make_gateway, tmp_path):
    folder = tmp_path / "own-plugins"
    folder.mkdir()
    subprocess.run(["cc", "-D_GNU_SOURCE", f'-DPOISON="{tmp_path / "poison"}"', "-shared", "-fPIC",
                    f"-I{ROOT / 'include'}", "-o", folder / "fuse.so",
                    "-x", "c", "-"], input=FUSE, text=True, check=True)
    (folder / "fuse.so").chmod(0o644)
    gateway = make_gateway(copy.deepcopy(CONFIG), start=False)
    # ASan would print the crash as its own finding
    gateway.env["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":handle_segv=0:handle_abort=0"
    gateway.plugins = [str(folder)]
    gateway.write()
    return gateway.start()


def post(gateway, text):
    return request(gateway.url, "POST", "/in/fuse", b'{"what": "%s"}' % text.encode())[0]


def feed(gateway):
    return gateway.get("/v1/feeds")[0]


def ends(gateway, seconds):
    """Does the process end by itself?"""
    try:
        wait_until(lambda: not gateway.running, seconds=seconds)
    except Late:
        return False
    return True


def crashes_until_it_lives(gateway, calm):
    """Started again whenever it ends, as a supervisor does; how often it ended, the first time with it."""
    assert ends(gateway, 100), "the poison has to end it once"
    count = 1
    while True:
        gateway.launch()
        wait_until(lambda: not gateway.running or calm(gateway), "it ends, or is calm")
        if gateway.running:
            return count
        count += 1
        assert count <= 10, "it never comes to rest"


def calm(state):
    def check(gateway):
        try:
            return gateway.ready() and gateway.states().get(state) == 1
        except (OSError, ValueError, AssertionError, http.client.HTTPException):
            return False  # it ended, perhaps in the middle of its answer
    return check


@pytest.mark.parametrize("word, state", [("ends-describe", "dead"), ("ends-deliver", "held")])
def test_what_ends_the_process_three_times_is_set_aside_and_the_rest_goes_on(gateway, word, state):
    assert post(gateway, "first") == 200
    wait_until(lambda: gateway.states().get("delivered") == 1)
    assert post(gateway, word) == 200
    assert crashes_until_it_lives(gateway, calm(state)) == 3
    if word == "ends-describe":  # an abort; the other one is a crash, of which ASan has more to say
        assert gateway.log().count("sluice: a library gave up") == 3
    elif not SANITIZED:
        assert gateway.log().count("sluice: crashed") == 3

    assert post(gateway, "after") == 200
    wait_until(lambda: gateway.states() == {"delivered": 2, state: 1})
    poisoned = gateway.delivery(state=state)
    assert "the process ended three times in a row" in poisoned["reason"]
    if state == "held":
        assert poisoned["hold_type"] == "poison"
        assert poisoned["reason"].endswith("it was sent and its outcome is unknown")


def test_kills_from_outside_set_nothing_aside(gateway):
    """The same number of ends, but no plugin had anything in hand."""
    for n in range(4):
        assert post(gateway, f"harmless {n}") == 200
        gateway.kill9()
        gateway.start()
    wait_until(lambda: gateway.states() == {"delivered": 4})


def test_a_feed_whose_polls_end_the_process_is_put_off_and_goes_on_when_it_is_mended(gateway, tmp_path):
    poison = tmp_path / "poison"
    poison.touch()
    gateway.stop()
    gateway.config["endpoints"]["fuse"]["feeds"] = {"looks": {"kind": "look", "every": "1s"}}
    gateway.write()
    gateway.launch()

    def put_off(gateway):
        try:
            return gateway.ready() and feed(gateway)["failures"] >= 3
        except (OSError, ValueError, AssertionError, http.client.HTTPException):
            return False

    assert crashes_until_it_lives(gateway, put_off) == 3
    looks = feed(gateway)
    assert "the process ended 3 times in a row while it was polled" in looks["error"]
    assert post(gateway, "meanwhile") == 200
    wait_until(lambda: gateway.states() == {"delivered": 1})
    gateway.stop()
    gateway.start()  # a stop is no end, and it is remembered
    wait_until(lambda: feed(gateway)["failures"] == 3)

    poison.unlink()
    gateway.cli("poll", "fuse", "looks")
    wait_until(lambda: feed(gateway)["runs"] >= 2)  # by its schedule again
    assert feed(gateway)["failures"] == 0
