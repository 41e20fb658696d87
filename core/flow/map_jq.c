/*
 * map_jq.c - libjq 1.6, with what it needs to be usable.
 *
 * jq 1.6 binds named arguments when it compiles (16 ms), so variables that differ from run to run
 * travel beside the document: the program is wrapped and runs on [document, variable, ...].
 *
 * int64() yields an object with one member, whose key no document can know: it is drawn at random
 * for each process. In the printed output that object is replaced by the digits. The key anywhere
 * else means that the value was computed with or turned into text, and is an error.
 */
#include "flow/map_jq.h"

#include <errno.h>
#include <jq.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/digest.h"
#include "base/mem.h"
#include "base/pack.h"
#include "base/rng.h"
#include "flow/map_guard.h"
#include "flow/map_numbers.h"
#include "flow/mapper.h"

#define MARK_LEN 38 /* "int64:" and 32 digits */

struct map_doc {
    jv value;
};

struct map_jq {
    jq_state *jq;
    size_t n_names;
    char **names;
};

/* Process-wide, as the worker is one thread that does one thing. */
static char mark[MARK_LEN + 1];
static void (*nomem)(void);

static void on_nomem(void *data)
{
    (void)data;
    if (nomem)
        nomem();
}

void map_jq_init(void (*handler)(void))
{
    uint8_t raw[16];

    rng_system(raw, sizeof(raw));
    memcpy(mark, "int64:", 6);
    hex_encode(raw, sizeof(raw), mark + 6);
    nomem = handler;
    jv_nomem_handler(on_nomem, NULL);
}

/* ---- messages ---- */

/* As one line, bounded; whole characters. */
static void put_line(struct buf *why, sl_str s)
{
    const size_t room = 600;
    size_t start = why->len, n;

    while (s.len > 0 && why->len - start < room) {
        n = str_utf8(s);
        if (n == 1 && ((unsigned char)*s.ptr < 0x20 || *s.ptr == 0x7f))
            buf_char(why, ' ');
        else if (n > 0)
            buf_append(why, s.ptr, n);
        else
            buf_char(why, '?');
        n = n ? n : 1;
        s.ptr += n;
        s.len -= n;
    }
    if (s.len > 0)
        buf_cstr(why, "...");
    while (why->len > start && why->data[why->len - 1] == ' ')
        why->data[--why->len] = '\0';
}

static sl_str view_of(jv string)
{
    return (sl_str){ .ptr = jv_string_value(string),
                     .len = (size_t)jv_string_length_bytes(jv_copy(string)) };
}

/* Consumes `msg`: text as it is, anything else as JSON. */
static void put_message(struct buf *why, jv msg)
{
    if (jv_get_kind(msg) != JV_KIND_STRING)
        msg = jv_dump_string(msg, 0);
    put_line(why, view_of(msg));
    jv_free(msg);
}

/* ---- documents ---- */

/* Where the first byte stands that is no UTF-8; json.len: nowhere. */
static size_t not_utf8(sl_str json)
{
    size_t at = 0, n;

    while (at < json.len) {
        if ((unsigned char)json.ptr[at] < 0x80)
            n = 1;
        else if ((n = str_utf8((sl_str){ .ptr = json.ptr + at, .len = json.len - at })) == 0)
            break;
        at += n;
    }
    return at;
}

static int parse(sl_str json, jv *ret, struct buf *why)
{
    struct buf exact = { 0 };
    struct fail fail = { 0 };
    size_t bad = not_utf8(json);
    int r;
    jv v;

    if (bad < json.len) { /* jq would put U+FFFD there: an address that nobody wrote */
        buf_printf(why, "byte %zu: not UTF-8", bad);
        return MAP_E_INPUT;
    }
    r = map_numbers(json, &exact, &fail);
    if (r == UV_ENOMEM)
        on_nomem(NULL);
    if (r < 0) {
        buf_cstr(why, fail.text);
        buf_finish(&exact);
        return MAP_E_INPUT;
    }
    v = jv_parse_sized(exact.data, (int)exact.len);
    buf_finish(&exact);
    if (!jv_is_valid(v)) {
        put_message(why, jv_invalid_get_msg(v));
        return MAP_E_INPUT;
    }
    *ret = v;
    return 0;
}

struct map_doc *map_doc_parse(sl_str json, struct buf *why)
{
    struct map_doc *doc;
    jv v;

    if (json.len > INT32_MAX / 2) { /* jq counts in int */
        buf_cstr(why, "the input is larger than 1 GiB");
        return NULL;
    }
    if (parse(json, &v, why) < 0)
        return NULL;
    doc = mem_zero(sizeof(*doc));
    doc->value = v;
    return doc;
}

void map_doc_destroy(struct map_doc *doc)
{
    if (!doc)
        return;
    jv_free(doc->value);
    free(doc);
}

/* ---- compiling ---- */

static void ignore_message(void *data, jv msg)
{
    (void)data;
    jv_free(msg);
}

static jv no_input(jq_state *jq, void *data)
{
    (void)jq;
    (void)data;
    return jv_invalid();
}

/* jq reports "jq: error: MESSAGE at <top-level>, line N:\nTHE LINE", and at last how many there
 * were. The first is kept as "line N: MESSAGE: THE LINE"; the prelude stands on a line of its own
 * before the program. */
static void on_compile_error(void *data, jv msg)
{
    struct buf *why = data;
    static const char place[] = " at <top-level>, line ",
                      quoting[] = " (Unix shell quoting issues?)";
    const char *text, *at, *end, *cut;
    char *rest;
    long line;

    if (jv_get_kind(msg) != JV_KIND_STRING)
        msg = jq_format_error(msg);
    if (why->len > 0 || jv_get_kind(msg) != JV_KIND_STRING) {
        jv_free(msg);
        return;
    }
    text = jv_string_value(msg);
    if (strncmp(text, "jq: error: ", 11) == 0)
        text += 11;
    at = strstr(text, place);
    if (!at) {
        put_line(why, str_of(text));
        jv_free(msg);
        return;
    }
    line = strtol(at + sizeof(place) - 1, &rest, 10) - 1;
    buf_printf(why, "line %ld: ", line < 1 ? 1 : line);
    end = at;
    if ((cut = strstr(text, quoting)) && cut < end)
        end = cut;
    put_line(why, (sl_str){ .ptr = text, .len = (size_t)(end - text) });
    rest += strspn(rest, ":\n ");
    if (*rest) {
        buf_cstr(why, ": ");
        put_line(why, str_of(rest));
    }
    jv_free(msg);
}

/* @param args  consumed */
static jq_state *compile_text(const char *text, jv args, struct buf *why)
{
    jq_state *jq = jq_init();

    if (!jq) {
        jv_free(args);
        on_nomem(NULL);
        abort();
    }
    jq_set_attr(jq, jv_string("JQ_LIBRARY_PATH"), jv_array()); /* without it `include` asserts */
    jq_set_input_cb(jq, no_input, NULL);                       /* without them `input` and */
    jq_set_debug_cb(jq, ignore_message, NULL);                 /* `debug` call NULL */
    jq_set_nomem_handler(jq, on_nomem, NULL);
    jq_set_error_cb(jq, on_compile_error, why);
    if (!jq_compile_args(jq, text, args))
        jq_teardown(&jq);
    else
        jq_set_error_cb(jq, ignore_message, NULL);
    return jq;
}

/* Numbers within 2^53 are exact; anything else must come as a string of digits. */
static void put_prelude(struct buf *b)
{
    buf_printf(b,
               "def int64(f): f as $s | if ($s|type) == \"string\" then "
               "($s|test(\"\\\\A-?(0|[1-9][0-9]{0,18})\\\\z\")) else ($s|type) == \"number\" and "
               "($s|floor) == $s and ($s|fabs) <= 9007199254740992 end | if . then {\"%s\": $s} "
               "else error(\"int64: \\($s|tojson) is not a whole number of 64 bits\") end;",
               mark);
}

/* Alone, the program's own mistakes are told with its own line; the wrapped one is for running. */
static void explain(sl_str text, const sl_str *names, size_t n, struct buf *why)
{
    struct buf program = { 0 };
    jv args = jv_object();
    jq_state *jq;

    for (size_t i = 0; i < n; i++)
        args = jv_object_set(args, jv_string_sized(names[i].ptr, (int)names[i].len), jv_null());
    put_prelude(&program);
    buf_char(&program, '\n');
    buf_str(&program, text);
    if (program.failed)
        on_nomem(NULL);
    jq = compile_text(program.data, args, why);
    if (jq)
        buf_cstr(why, "the program has no expression (\".\" passes the input on)");
    else if (why->len == 0)
        buf_cstr(why, "it does not compile");
    jq_teardown(&jq);
    buf_finish(&program);
}

static jq_state *compile_wrapped(sl_str text, const sl_str *names, size_t n)
{
    struct buf program = { 0 }, unused = { 0 };
    jq_state *jq;

    put_prelude(&program);
    for (size_t i = 0; i < n; i++)
        buf_printf(&program, " .[%zu] as $" STR_FMT " |", i + 1, STR_ARG(names[i]));
    buf_cstr(&program, " .[0] | (\n");
    buf_str(&program, text);
    buf_cstr(&program, "\n)"); /* the last line may be a comment */
    if (program.failed)
        on_nomem(NULL);
    jq = compile_text(program.data, jv_object(), &unused);
    buf_finish(&program);
    buf_finish(&unused);
    return jq;
}

static bool is_name(sl_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!(s.ptr[i] == '_' || (s.ptr[i] >= 'a' && s.ptr[i] <= 'z') ||
              (s.ptr[i] >= 'A' && s.ptr[i] <= 'Z') ||
              (i > 0 && s.ptr[i] >= '0' && s.ptr[i] <= '9')))
            return false;
    return s.len > 0;
}

int map_jq_compile(struct map_jq **ret, sl_str text, const sl_str *names, size_t n, struct buf *why)
{
    struct fail fail = { 0 };
    struct map_jq *q;
    jq_state *jq;

    for (size_t i = 0; i < n; i++)
        if (!is_name(names[i])) {
            buf_cstr(why, "not a variable's name: ");
            put_line(why, names[i]);
            return MAP_E_PROGRAM;
        }
    if (map_guard(text, &fail) < 0) {
        buf_cstr(why, fail.text);
        return MAP_E_PROGRAM;
    }
    jq = compile_wrapped(text, names, n);
    if (!jq) {
        explain(text, names, n, why);
        return MAP_E_PROGRAM;
    }
    q = mem_zero(sizeof(*q));
    q->jq = jq;
    q->n_names = n;
    q->names = mem_array(n ? n : 1, sizeof(*q->names));
    for (size_t i = 0; i < n; i++)
        q->names[i] = mem_dup(names[i]);
    *ret = q;
    return 0;
}

void map_jq_destroy(struct map_jq *q)
{
    if (!q)
        return;
    jq_teardown(&q->jq);
    for (size_t i = 0; i < q->n_names; i++)
        free(q->names[i]);
    free(q->names);
    free(q);
}

bool map_jq_spent(const struct map_jq *q)
{
    return jq_halted(q->jq);
}

/* ---- outputs ---- */

/* p stands behind `{"MARK":` of an int64() value: view its digits, go behind its '}'. */
static bool take_digits(const char **p, const char *end, sl_str *ret)
{
    const char *q = *p;
    bool quoted = q < end && *q == '"';

    q += quoted;
    ret->ptr = q;
    if (q < end && *q == '-')
        q++;
    while (q < end && *q >= '0' && *q <= '9')
        q++;
    ret->len = (size_t)(q - ret->ptr);
    if (quoted && !(q < end && *q++ == '"'))
        return false;
    if (!(q < end && *q++ == '}'))
        return false;
    *p = q;
    return ret->len > 0 && ret->len <= 20;
}

/* Nineteen digits passed the prelude; do they fit? */
static bool fits(sl_str digits)
{
    char text[24];

    memcpy(text, digits.ptr, digits.len);
    text[digits.len] = '\0';
    errno = 0;
    strtoll(text, NULL, 10);
    return errno == 0;
}

/* Copy `text` to `out`, the values of int64() as numbers. */
static bool put_exact(sl_str text, struct buf *out, struct buf *why)
{
    const char *p = text.ptr, *end = text.ptr + text.len, *hit;
    sl_str digits;

    while ((hit = memmem(p, (size_t)(end - p), mark, MARK_LEN))) {
        const char *value = hit + MARK_LEN + 2;

        /* In a string the quotes before and behind the key would be escaped: this is an object. */
        if (hit - p < 2 || memcmp(hit - 2, "{\"", 2) != 0 || end - hit < MARK_LEN + 2 ||
            memcmp(hit + MARK_LEN, "\":", 2) != 0 || !take_digits(&value, end, &digits)) {
            buf_cstr(why,
                     "int64: the value was changed or turned into text; it can only be output "
                     "(keep the string to compute with)");
            return false;
        }
        if (!fits(digits)) {
            buf_cstr(why, "int64: ");
            put_line(why, digits);
            buf_cstr(why, " does not fit into 64 bits");
            return false;
        }
        buf_append(out, p, (size_t)(hit - 2 - p));
        buf_append(out, digits.ptr, digits.len);
        p = value;
    }
    buf_append(out, p, (size_t)(end - p));
    return true;
}

/* What is deeper than jq likes (256) it prints as "<stripped: exceeds max depth>", in other builds
 * as
 * "<skipped: too deep>": not JSON. */
static bool cut_by_jq(sl_str text)
{
    struct buf scratch = { 0 };
    bool cut = (memmem(text.ptr, text.len, "<stripped: ", 11) ||
                memmem(text.ptr, text.len, "<skipped: ", 10)) &&
               map_numbers(text, &scratch, NULL) < 0;

    buf_finish(&scratch);
    return cut;
}

/* Consumes `v`. 0 or a code. */
static int put_output(jv v, uint64_t room, struct buf *out, struct buf *why)
{
    jv dumped = jv_dump_string(v, 0);
    sl_str text = view_of(dumped);
    size_t start = out->len;
    int r = 0;

    if (cut_by_jq(text)) {
        buf_cstr(why, "an output is nested too deep");
        r = MAP_E_PROGRAM;
    } else if (!memmem(text.ptr, text.len, mark, MARK_LEN)) {
        if (text.len + 4 > room)
            r = MAP_E_OUTPUT;
        else
            pack_str(out, text);
    } else {
        pack_u32(out, 0);
        if (!put_exact(text, out, why))
            r = MAP_E_PROGRAM;
        else if (out->len - start > room)
            r = MAP_E_OUTPUT;
        else if (!out->failed)
            for (size_t i = 0, n = out->len - start - 4; i < 4; i++)
                out->data[start + i] = (char)(uint8_t)(n >> (8 * i));
    }
    jv_free(dumped);
    return r;
}

/* ---- running ---- */

/* [document, variable, ...]; invalid when `vars` is no object. */
static jv input_of(const struct map_jq *q, const struct map_doc *doc, sl_str vars, struct buf *why)
{
    jv in = jv_array_append(jv_array_sized((int)q->n_names + 1), jv_copy(doc->value));
    jv object = jv_object();

    if (vars.len > 0) {
        jv_free(object);
        object = jv_invalid();
        if (parse(vars, &object, why) < 0 || jv_get_kind(object) != JV_KIND_OBJECT) {
            if (why->len == 0)
                buf_cstr(why, "the variables are no JSON object");
            jv_free(object);
            jv_free(in);
            return jv_invalid();
        }
    }
    for (size_t i = 0; i < q->n_names; i++) {
        jv v = jv_object_get(jv_copy(object), jv_string(q->names[i]));

        if (!jv_is_valid(v)) {
            jv_free(v);
            v = jv_null();
        }
        in = jv_array_append(in, v);
    }
    jv_free(object);
    return in;
}

static int64_t run_all(jq_state *jq, uint64_t budget, struct buf *out, struct buf *why)
{
    size_t start = out->len;
    int64_t n = 0;
    int r;
    jv v;

    while (jv_is_valid(v = jq_next(jq))) {
        if ((r = put_output(v, budget - (out->len - start), out, why)) < 0) {
            if (r == MAP_E_OUTPUT)
                buf_printf(why, "more output than the %llu bytes allowed",
                           (unsigned long long)budget);
            return r;
        }
        n++;
    }
    if (jq_halted(jq)) {
        jv_free(v);
        buf_cstr(why, "the program halted");
        return MAP_E_PROGRAM;
    }
    if (jv_invalid_has_msg(jv_copy(v))) {
        put_message(why, jv_invalid_get_msg(v));
        return MAP_E_PROGRAM;
    }
    jv_free(v);
    return n;
}

int64_t map_jq_run(struct map_jq *q, const struct map_doc *doc, sl_str vars, uint64_t budget,
                   struct buf *out, struct buf *why)
{
    size_t start = out->len;
    jv in = input_of(q, doc, vars, why);
    int64_t n;

    if (!jv_is_valid(in)) {
        jv_free(in);
        return MAP_E_INPUT;
    }
    jq_start(q->jq, in, 0);
    n = run_all(q->jq, budget, out, why);
    if (n < 0) {
        if (!out->failed)
            out->len = start;
        if (!jq_halted(q->jq))
            jq_start(q->jq, jv_null(), 0); /* lets go of what the broken run held */
    }
    return n;
}
