/*
 * check.c - one value against its option: type, range, form.
 */
#include "config/values.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>
#include "base/mem.h"
#include "base/units.h"

#define JQ_FILE_MAX  (256 * 1024)
#define SECRETS_MAX  8
#define SOCKET_BYTES 107 /* sun_path without its NUL */

static void set_text(struct value *v, sl_str s)
{
    v->text = (struct text){ .data = mem_dup(s), .len = s.len };
}

/* ---- what is wanted ---- */

static void format_bound(const sl_option *o, int64_t bound, char out[32])
{
    switch (o->type) {
    case SL_OPT_DURATION:
        units_format_duration(bound, out);
        break;
    case SL_OPT_SIZE:
        units_format_size(bound, out);
        break;
    case OPT_MILLI:
        snprintf(out, 32, bound % 1000 ? "%.3f" : "%.0f", (double)bound / 1000);
        break;
    default:
        snprintf(out, 32, "%" PRId64, bound);
        break;
    }
}

static bool bounded(const sl_option *o)
{
    return o->min != 0 || o->max != 0;
}

/* " from 1 to 5" or " of at least 1" or "". */
static void format_range(const sl_option *o, char out[96])
{
    char low[32], high[32];

    format_bound(o, o->min, low);
    format_bound(o, o->max, high);
    if (!bounded(o))
        out[0] = '\0';
    else if (o->max < o->min)
        snprintf(out, 96, " of at least %s", low);
    else
        snprintf(out, 96, " from %s to %s", low, high);
}

static void wanted(const sl_option *o, struct buf *out)
{
    static const struct {
        uint32_t type;
        const char *text;
    } texts[] = {
        { SL_OPT_STRING, "a text" },
        { SL_OPT_INT, "a whole number" },
        { SL_OPT_BOOL, "true or false" },
        { SL_OPT_DURATION, "a duration such as \"250ms\", \"30s\", \"5m\", \"24h\" or \"7d\"" },
        { SL_OPT_SIZE, "a size such as \"64KiB\" or \"1MiB\"" },
        { SL_OPT_ENUM, "one of " },
        { SL_OPT_URL, "an address such as https://api.example.com" },
        { SL_OPT_STRINGS, "a list of texts such as [a, b]" },
        { SL_OPT_INTS, "a list of whole numbers such as [200, 201]" },
        { SL_OPT_MAP, "a mapping of names to texts" },
        { SL_OPT_JQ, "a jq program as text, or { file: PATH }" },
        { SL_OPT_POINTER, "a JSON Pointer such as /order/id" },
        { OPT_MILLI, "a number such as 5 or 0.5" },
        { OPT_LISTEN, "an address such as 127.0.0.1:8080 or unix:/run/sluice.sock" },
        { OPT_PATH, "a path" },
        { OPT_PATHS, "a list of folders" },
        { OPT_TEXTS, "a text or a list of texts" },
        { OPT_ACTION, "the name of an action, or { action: NAME, and its parameters }" },
    };
    char range[96];

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (texts[i].type == o->type)
            buf_cstr(out, texts[i].text);
    for (const char *c = o->choices; o->type == SL_OPT_ENUM && c && *c; c++)
        if (*c == '|')
            buf_cstr(out, ", ");
        else
            buf_char(out, *c);
    if (o->type == SL_OPT_INT || o->type == SL_OPT_INTS) {
        format_range(o, range);
        buf_cstr(out, range);
    }
}

/* The general complaint: what was wanted, what was found, and a hint. */
static bool refuse(struct reader *rd, const struct yaml_node *node, const sl_option *o,
                   const char *hint)
{
    struct buf want = { 0 };
    char found[96];

    wanted(o, &want);
    yaml_describe(node, found);
    report_node(rd, node, "\"%s\" wants %s, found %s%s%s", o->name, want.data ? want.data : "",
                found, *hint ? "; " : "", hint);
    buf_finish(&want);
    return false;
}

static bool is_text(struct reader *rd, const struct yaml_node *node, const sl_option *o)
{
    return node->kind == YAML_TEXT ? true : refuse(rd, node, o, "");
}

/* ---- numbers ---- */

static bool in_range(struct reader *rd, const struct yaml_node *node, const sl_option *o,
                     int64_t num)
{
    char found[96], range[96];

    if (!bounded(o) || (num >= o->min && (o->max < o->min || num <= o->max)))
        return true;
    format_range(o, range);
    report_node(rd, node, "\"%s\" is %s, out of range; wanted a value%s", o->name,
                report_quote(node->text, found), range);
    return false;
}

static bool too_large(struct reader *rd, const struct yaml_node *node, const sl_option *o)
{
    char found[96];

    report_node(rd, node, "\"%s\" is %s, more than any number here can be", o->name,
                report_quote(node->text, found));
    return false;
}

/* 0, UV_EINVAL, UV_ERANGE. `decimals`: how many digits after a point are allowed and counted. */
static int parse_number(sl_str s, unsigned decimals, int64_t *ret)
{
    bool negative = s.len > 0 && s.ptr[0] == '-';
    size_t i = negative, digits = 0;
    unsigned seen = 0;
    bool point = false;
    int64_t n = 0;

    for (; i < s.len; i++) {
        if (s.ptr[i] == '.' && decimals > 0 && !point && digits > 0) {
            point = true;
            continue;
        }
        if (s.ptr[i] < '0' || s.ptr[i] > '9' || (point && seen == decimals))
            return UV_EINVAL;
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, s.ptr[i] - '0', &n))
            return UV_ERANGE;
        digits++;
        seen += point;
    }
    if (digits == 0 || (point && seen == 0))
        return UV_EINVAL;
    for (; seen < decimals; seen++)
        if (__builtin_mul_overflow(n, 10, &n))
            return UV_ERANGE;
    *ret = negative ? -n : n;
    return 0;
}

static bool read_number(struct reader *rd, const struct yaml_node *node, const sl_option *o,
                        unsigned decimals, int64_t *ret)
{
    int r;

    if (!is_text(rd, node, o))
        return false;
    if (node->quoted)
        return refuse(rd, node, o, "it is a text because of its quotes; leave them out");
    r = parse_number(node->text, decimals, ret);
    if (r == UV_ERANGE)
        return too_large(rd, node, o);
    return r < 0 ? refuse(rd, node, o, "") : in_range(rd, node, o, *ret);
}

static bool only_digits(sl_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    return s.len > 0;
}

static bool read_duration(struct reader *rd, const struct yaml_node *node, struct value *v)
{
    char hint[128] = "";
    int r;

    if (!is_text(rd, node, v->option))
        return false;
    r = units_duration(node->text, &v->num);
    if (r == UV_ERANGE)
        return too_large(rd, node, v->option);
    if (r < 0 && only_digits(node->text) && node->text.len < 20)
        snprintf(hint, sizeof(hint), "a unit is missing: \"%ss\"?", node->text.ptr);
    return r < 0 ? refuse(rd, node, v->option, hint) : in_range(rd, node, v->option, v->num);
}

static bool read_size(struct reader *rd, const struct yaml_node *node, struct value *v)
{
    int r;

    if (!is_text(rd, node, v->option))
        return false;
    r = units_size(node->text, &v->num);
    if (r == UV_ERANGE)
        return too_large(rd, node, v->option);
    return r < 0 ? refuse(rd, node, v->option, "") : in_range(rd, node, v->option, v->num);
}

static bool read_bool(struct reader *rd, const struct yaml_node *node, struct value *v)
{
    if (node->kind != YAML_TEXT || node->quoted ||
        (!str_eq(node->text, STR("true")) && !str_eq(node->text, STR("false"))))
        return refuse(rd, node, v->option, "");
    v->num = str_eq(node->text, STR("true"));
    return true;
}

/* ---- texts ---- */

static bool read_enum(struct reader *rd, const struct yaml_node *node, struct value *v)
{
    struct nearest near = { .given = node->text };
    char hint[200] = "";
    size_t len;
    int64_t i = 0;

    if (!is_text(rd, node, v->option))
        return false;
    for (const char *c = v->option->choices; c && *c; c += len + (c[len] == '|'), i++) {
        sl_str choice = { .ptr = c, .len = len = strcspn(c, "|") };

        if (str_eq(choice, node->text)) {
            v->num = i;
            set_text(v, node->text);
            return true;
        }
        nearest_offer(&near, choice);
    }
    if (near.name.len > 0)
        snprintf(hint, sizeof(hint), "did you mean \"" STR_FMT "\"?", STR_ARG(near.name));
    return refuse(rd, node, v->option, hint);
}

/* What is wrong with an address; NULL: nothing. */
static const char *url_wrong(sl_str s)
{
    size_t scheme = str_starts(s, STR("https://")) ? 8 : str_starts(s, STR("http://")) ? 7 : 0;
    const char *host = s.ptr + scheme, *port;
    size_t len;
    unsigned long number;

    if (!scheme)
        return "it begins with https:// or http://";
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] <= 0x20 || (unsigned char)s.ptr[i] >= 0x7f || s.ptr[i] == '"')
            return "it must not hold spaces or other than ASCII characters";
    if (strchr(host, '#'))
        return "it must not have a fragment (#...)";
    len = strcspn(host, "/?");
    if (memchr(host, '@', len))
        return "it must not hold a user or a password";
    port = host[0] == '[' ? memchr(host, ']', len) : host;
    if (!port)
        return "the IPv6 address has no ']'";
    port = memchr(port, ':', len - (size_t)(port - host));
    if (len == 0 || port == host)
        return "it names no host";
    if (!port)
        return NULL;
    number = strtoul(port + 1, NULL, 10);
    if (!only_digits((sl_str){ .ptr = port + 1, .len = len - (size_t)(port + 1 - host) }) ||
        number < 1 || number > 65535)
        return "the port is a number from 1 to 65535";
    return NULL;
}

static bool read_url(struct reader *rd, const struct yaml_node *node, struct value *v)
{
    sl_str s = node->text;
    const char *wrong;

    if (!is_text(rd, node, v->option))
        return false;
    wrong = url_wrong(s);
    if (wrong && strstr(wrong, "password")) { /* do not print it */
        report_hide(&rd->report, node->start, node->end);
        report_node(rd, node, "\"%s\": an address must not hold a user or a password",
                    v->option->name);
        return false;
    }
    if (wrong)
        return refuse(rd, node, v->option, wrong);
    while (s.len > 0 && s.ptr[s.len - 1] == '/')
        s.len--;
    set_text(v, s);
    return true;
}

static bool read_pointer(struct reader *rd, const struct yaml_node *node, struct value *v)
{
    sl_str s = node->text;

    if (!is_text(rd, node, v->option))
        return false;
    if (s.len > 0 && s.ptr[0] != '/')
        return refuse(rd, node, v->option, "it begins with '/'");
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] == '~' && s.ptr[i + 1] != '0' && s.ptr[i + 1] != '1')
            return refuse(rd, node, v->option, "'~' is written ~0, and '/' inside a name ~1");
    set_text(v, s);
    return true;
}

/* "address:port" with an IP address. */
static bool is_ip_port(sl_str s)
{
    const char *colon = strrchr(s.ptr, ':');
    unsigned char address[16];
    char host[64];
    size_t len = colon ? (size_t)(colon - s.ptr) : 0;
    sl_str port = { .ptr = colon ? colon + 1 : "", .len = colon ? s.len - len - 1 : 0 };

    if (!only_digits(port) || port.len > 5 || strtoul(port.ptr, NULL, 10) > 65535)
        return false;
    if (len >= 2 && s.ptr[0] == '[' && s.ptr[len - 1] == ']') {
        snprintf(host, sizeof(host), "%.*s", (int)(len - 2), s.ptr + 1);
        return len - 2 < sizeof(host) && inet_pton(AF_INET6, host, address) == 1;
    }
    snprintf(host, sizeof(host), "%.*s", (int)len, s.ptr);
    return len < sizeof(host) && inet_pton(AF_INET, host, address) == 1;
}

static bool read_listen(struct reader *rd, const struct yaml_node *node, struct value *v)
{
    sl_str s = node->text, path;
    struct buf full = { 0 };
    char *own;

    if (!is_text(rd, node, v->option))
        return false;
    if (!str_starts(s, STR("unix:"))) {
        if (!is_ip_port(s) && !str_eq(s, STR("none")))
            return refuse(rd, node, v->option, "");
        set_text(v, s);
        return true;
    }
    path = (sl_str){ .ptr = s.ptr + 5, .len = s.len - 5 };
    if (path.len == 0)
        return refuse(rd, node, v->option, "the path is missing");
    own = reader_path(rd, path);
    buf_printf(&full, "unix:%s", own);
    set_text(v, buf_view(&full));
    buf_finish(&full);
    free(own);
    if (v->text.len - 5 > SOCKET_BYTES)
        return refuse(rd, node, v->option, "a socket's path has at most 107 bytes");
    return true;
}

static bool read_path(struct reader *rd, const struct yaml_node *node, struct value *v)
{
    if (!is_text(rd, node, v->option))
        return false;
    if (node->text.len == 0)
        return refuse(rd, node, v->option, "the path is empty");
    v->text.data = reader_path(rd, node->text);
    v->text.len = strlen(v->text.data);
    return true;
}

/* ---- jq ---- */

static bool compile(struct reader *rd, const struct yaml_node *place, const char *file,
                    struct value *v)
{
    struct fail fail = { 0 };
    sl_str program = { .ptr = v->text.data, .len = v->text.len };

    if (!rd->env->compile || rd->env->compile(rd->env->ctx, program, &fail) == 0)
        return true;
    report_node(rd, place, "\"%s\": %s%sthe jq program is wrong: %s", v->option->name,
                file ? file : "", file ? ": " : "", fail.text);
    return false;
}

static bool jq_file(struct reader *rd, const struct yaml_node *node, struct value *v)
{
    struct fail fail = { 0 };
    char *path = reader_path(rd, node->text);
    bool ok = file_read(path, JQ_FILE_MAX, &v->text, &fail) == 0;

    if (!ok) {
        report_node(rd, node, "\"%s\": %s", v->option->name, fail.text);
    } else if (memchr(v->text.data, '\0', v->text.len)) {
        report_node(rd, node, "\"%s\": \"%s\" holds a NUL byte, it is no text", v->option->name,
                    path);
        ok = false;
    } else {
        ok = compile(rd, node, path, v);
    }
    free(path);
    return ok;
}

static bool read_jq(struct reader *rd, const struct yaml_node *node, struct value *v)
{
    const struct yaml_item *file = yaml_get(node, STR("file"));

    if (file && node->n == 1 && file->value->kind == YAML_TEXT && file->value->text.len > 0)
        return jq_file(rd, file->value, v);
    if (node->kind == YAML_MAP)
        return refuse(rd, node, v->option, "braces of a program need quotes around them");
    if (!is_text(rd, node, v->option))
        return false;
    if (str_trim(node->text).len == 0)
        return refuse(rd, node, v->option, "");
    set_text(v, node->text);
    return compile(rd, node, NULL, v);
}

/* ---- lists and maps ---- */

static struct text *add_item(struct value *v)
{
    v->items = mem_grow(v->items, (v->n_items + 1) * sizeof(*v->items));
    v->items[v->n_items] = (struct text){ 0 };
    return &v->items[v->n_items++];
}

static bool read_secrets(struct reader *rd, const struct yaml_node *node, struct value *v)
{
    const sl_option *o = v->option;
    bool ok = true;

    if (o->type == SL_OPT_SECRET || node->kind != YAML_LIST)
        return secret_read(rd, o->name, node, add_item(v));
    if (node->n == 0 || node->n > SECRETS_MAX) {
        report_node(rd, node, "\"%s\" wants 1 to %d secrets, found %zu", o->name, SECRETS_MAX,
                    node->n);
        return false;
    }
    for (size_t i = 0; i < node->n; i++)
        ok = secret_read(rd, o->name, node->items[i].value, add_item(v)) && ok;
    return ok;
}

/* The list as JSON, from v->items. */
static void list_json(struct value *v, bool numbers)
{
    struct buf b = { 0 };

    buf_char(&b, '[');
    for (size_t i = 0; i < v->n_items; i++) {
        sl_str s = { .ptr = v->items[i].data, .len = v->items[i].len };

        if (i > 0)
            buf_char(&b, ',');
        if (numbers)
            buf_str(&b, s);
        else
            buf_json_str(&b, s);
    }
    buf_char(&b, ']');
    v->text.data = buf_steal(&b, &v->text.len);
}

static bool read_list_item(struct reader *rd, const struct yaml_node *node, struct value *v)
{
    const sl_option *o = v->option;
    struct text *item;
    char digits[24];
    int64_t num;

    if (o->type == SL_OPT_INTS) {
        if (!read_number(rd, node, o, 0, &num))
            return false;
        snprintf(digits, sizeof(digits), "%" PRId64, num); /* JSON has no 007 */
        *add_item(v) = (struct text){ .data = mem_str(digits), .len = strlen(digits) };
        return true;
    }
    if (!is_text(rd, node, o))
        return false;
    if (node->text.len == 0 && o->type != SL_OPT_STRINGS)
        return refuse(rd, node, o, "");
    item = add_item(v);
    item->data = o->type == OPT_PATHS ? reader_path(rd, node->text) : mem_dup(node->text);
    item->len = strlen(item->data);
    return true;
}

static bool read_list(struct reader *rd, const struct yaml_node *node, struct value *v)
{
    bool ok = true;

    if (v->option->type == OPT_TEXTS && node->kind == YAML_TEXT)
        return read_list_item(rd, node, v);
    if (node->kind != YAML_LIST)
        return refuse(rd, node, v->option, "");
    if (v->option->type == OPT_TEXTS && node->n == 0 && !v->option->deflt) /* which would be [] */
        return refuse(rd, node, v->option, "it is empty");
    for (size_t i = 0; i < node->n; i++)
        ok = read_list_item(rd, node->items[i].value, v) && ok;
    if (ok)
        list_json(v, v->option->type == SL_OPT_INTS);
    return ok;
}

/* Members that are secrets are wiped with v->items; the JSON text with the value. */
static bool map_items(struct reader *rd, const struct yaml_node *node, struct value *v)
{
    bool ok = true;

    for (size_t i = 0; i < node->n; i++) {
        const struct yaml_node *value = node->items[i].value;
        struct text *item = add_item(v);

        if (value->kind == YAML_TEXT)
            *item = (struct text){ .data = mem_dup(value->text), .len = value->text.len };
        else if (value->kind == YAML_MAP)
            ok = secret_read(rd, node->items[i].key.ptr, value, item) && ok;
        else
            ok = refuse(rd, value, v->option, "a member is a text, or a secret");
    }
    return ok;
}

static bool read_map(struct reader *rd, const struct yaml_node *node, struct value *v)
{
    struct buf b = { 0 };
    size_t need = 2, members = 0;

    if (node->kind != YAML_MAP)
        return refuse(rd, node, v->option, "");
    if (!map_items(rd, node, v))
        return false;
    for (size_t i = 0; i < node->n; i++)
        need += 6 * (node->items[i].key.len + v->items[i].len) + 6;
    if (buf_reserve(&b, need) < 0) /* all at once: growing would leave copies of secrets behind */
        return refuse(rd, node, v->option, "it is too large");
    buf_char(&b, '{');
    for (size_t i = 0; i < node->n; i++) {
        if (!v->items[i].data)
            continue; /* a secret that is not read in this check */
        if (members++ > 0)
            buf_char(&b, ',');
        buf_json_str(&b, node->items[i].key);
        buf_char(&b, ':');
        buf_json_str(&b, (sl_str){ .ptr = v->items[i].data, .len = v->items[i].len });
    }
    buf_char(&b, '}');
    v->text.data = buf_steal(&b, &v->text.len);
    return true;
}

/* ---- actions ---- */

static bool read_action(struct reader *rd, const struct yaml_node *node, struct value *v)
{
    const struct yaml_item *item = yaml_get(node, STR("action"));
    const struct yaml_node *name = item ? item->value : node;

    if (name->kind != YAML_TEXT || !name->text.len)
        return refuse(rd, name, v->option,
                      !item && node->kind == YAML_MAP ? "\"action\" is missing" : "");
    set_text(v, name->text);
    return true;
}

/* ---- all of them ---- */

static bool read_typed(struct reader *rd, const struct yaml_node *node, struct value *v)
{
    switch (v->option->type) {
    case SL_OPT_STRING:
        if (!is_text(rd, node, v->option))
            return false;
        set_text(v, node->text);
        return true;
    case SL_OPT_INT:
        return read_number(rd, node, v->option, 0, &v->num);
    case OPT_MILLI:
        return read_number(rd, node, v->option, 3, &v->num);
    case SL_OPT_BOOL:
        return read_bool(rd, node, v);
    case SL_OPT_DURATION:
        return read_duration(rd, node, v);
    case SL_OPT_SIZE:
        return read_size(rd, node, v);
    case SL_OPT_ENUM:
        return read_enum(rd, node, v);
    case SL_OPT_URL:
        return read_url(rd, node, v);
    case SL_OPT_SECRET:
    case SL_OPT_SECRETS:
        return read_secrets(rd, node, v);
    case SL_OPT_STRINGS:
    case SL_OPT_INTS:
    case OPT_PATHS:
    case OPT_TEXTS:
        return read_list(rd, node, v);
    case SL_OPT_MAP:
        return read_map(rd, node, v);
    case SL_OPT_JQ:
        return read_jq(rd, node, v);
    case SL_OPT_POINTER:
        return read_pointer(rd, node, v);
    case OPT_ACTION:
        return read_action(rd, node, v);
    case OPT_LISTEN:
        return read_listen(rd, node, v);
    case OPT_PATH:
        return read_path(rd, node, v);
    }
    report_node(rd, node, "\"%s\": its adapter gives it the type %u, which is not known here",
                v->option->name, v->option->type);
    return false;
}

bool value_read(struct reader *rd, const struct yaml_node *node, struct value *ret)
{
    if (read_typed(rd, node, ret))
        return true;
    value_clear(ret);
    return false;
}

/* Lists, maps and quoted texts are YAML; anything else is the plain text that it is. */
static bool default_is_yaml(const sl_option *o)
{
    switch (o->type) {
    case SL_OPT_STRINGS:
    case SL_OPT_INTS:
    case SL_OPT_MAP:
    case OPT_PATHS:
    case OPT_TEXTS:
        return true;
    case SL_OPT_STRING:
        return o->deflt[0] == '"' || o->deflt[0] == '\'';
    }
    return false;
}

bool value_read_default(struct reader *rd, const struct yaml_item *at, struct value *ret)
{
    struct yaml_node plain = { .kind = YAML_TEXT, .text = str_of(ret->option->deflt) };
    struct yaml_node *parsed = NULL;
    char instead[128];
    bool ok;

    snprintf(instead, sizeof(instead), "the default of \"%.60s\" is broken: ", ret->option->name);
    rd->report.instead = instead;
    rd->report.instead_line = at->line;
    rd->report.instead_column = at->column;
    if (default_is_yaml(ret->option))
        parsed = yaml_parse(plain.text, &rd->report);
    ok = default_is_yaml(ret->option) ? parsed && value_read(rd, parsed, ret)
                                      : value_read(rd, &plain, ret);
    rd->report.instead = NULL;
    yaml_destroy(parsed);
    return ok;
}
