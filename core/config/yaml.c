/*
 * yaml.c - one YAML document as a tree whose every node knows its place.
 */
#include "config/yaml.h"

#include <libfyaml.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"

struct parse {
    sl_str source;
    struct report *report;
    struct fy_parser *parser;
    struct fy_diag *diag;
    /* Marks come in rising order, so places are counted on from the last one. */
    size_t at;
    unsigned line, column;
};

/* ---- places ---- */

static void place_of(struct parse *p, size_t offset, unsigned *ret_line, unsigned *ret_column)
{
    if (offset > p->source.len)
        offset = p->source.len;
    if (offset < p->at || p->line == 0) {
        p->at = 0;
        p->line = p->column = 1;
    }
    for (; p->at < offset; p->at++) {
        unsigned char c = (unsigned char)p->source.ptr[p->at];

        if (c == '\n') {
            p->line++;
            p->column = 1;
        } else if ((c & 0xc0) != 0x80) {
            p->column++;
        }
    }
    *ret_line = p->line;
    *ret_column = p->column;
}

/* A block's text begins a line below the '|' or '>' that a reader takes for its place. */
static size_t block_start(const struct parse *p, size_t offset)
{
    size_t at = offset < p->source.len ? offset : p->source.len;

    while (at > 0 && strchr(" \t\r\n", p->source.ptr[at - 1]))
        at--;
    while (at > 0 && strchr("+-0123456789", p->source.ptr[at - 1]))
        at--;
    return at > 0 && strchr("|>", p->source.ptr[at - 1]) ? at - 1 : offset;
}

/* ---- refusals before the parser sees anything ---- */

static bool source_is_text(struct parse *p)
{
    sl_str s = p->source;
    unsigned line, column;

    for (size_t at = 0; at < s.len;) {
        size_t n = str_utf8((sl_str){ .ptr = s.ptr + at, .len = s.len - at });
        unsigned char c = (unsigned char)s.ptr[at];
        bool control = (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f;

        if (n == 0 || control) {
            place_of(p, at, &line, &column);
            report_at(p->report, line, column,
                      n == 0 ? "byte 0x%02x is not UTF-8; save the file as UTF-8"
                             : "control character 0x%02x; only text belongs here",
                      c);
            return false;
        }
        at += n;
    }
    return true;
}

/* ---- the parser's own complaints ---- */

/* A broken line is shown, unless what stands on it may be a secret: nobody can tell any more. */
static void hide_if_secret(struct parse *p, unsigned line)
{
    static const char *const words[] = { "secret", "token", "password", "key", "auth", "cred" };
    const char *start = p->source.ptr, *end = start + p->source.len, *stop;
    struct buf text = { 0 };

    for (unsigned i = 1; i < line && start && start < end; i++) {
        start = memchr(start, '\n', (size_t)(end - start));
        start = start ? start + 1 : end;
    }
    stop = start < end ? memchr(start, '\n', (size_t)(end - start)) : NULL;
    buf_append(&text, start, (size_t)((stop ? stop : end) - start));
    for (size_t i = 0; text.data && i < sizeof(words) / sizeof(words[0]); i++)
        if (strcasestr(text.data, words[i]))
            report_hide_line(p->report, line);
    buf_finish(&text);
}

static void report_syntax(struct parse *p)
{
    void *walk = NULL;
    const struct fy_diag_error *e = fy_diag_errors_iterate(p->diag, &walk);
    unsigned line = e && e->line > 0 ? (unsigned)e->line : 1;
    unsigned column = e && e->column > 0 ? (unsigned)e->column : 1;

    hide_if_secret(p, line);
    if (e && strstr(e->msg, "tab character"))
        report_at(p->report, line, column, "a tab in the indentation; YAML wants spaces");
    else
        report_at(p->report, line, column, "not valid YAML: %s", e ? e->msg : "no reason given");
}

/* The next event, or NULL after a syntax error was reported. */
static struct fy_event *next_event(struct parse *p)
{
    struct fy_event *e = fy_parser_parse(p->parser);

    if (!e)
        report_syntax(p);
    return e;
}

/* ---- nodes ---- */

static struct yaml_node *node_parse(struct parse *p, struct fy_event *e, unsigned depth,
                                    const struct yaml_item *key);

/* Anchors, aliases and tags: `e` begins a node. Their tokens may begin behind the sign. */
static bool event_is_plain(struct parse *p, struct fy_event *e)
{
    static const char *const complaints[] = {
        "an alias (*name) is not allowed here; write the value out",
        "an anchor (&name) is not allowed here; leave it out",
        "a tag (!name) is not allowed here; leave it out",
    };
    static const char signs[] = "*&!";
    struct fy_token *token = e->type == FYET_ALIAS ? e->alias.anchor : NULL;
    const struct fy_mark *mark;
    unsigned line, column;
    size_t which = 0, at;

    if (e->type != FYET_ALIAS) {
        token = fy_event_get_anchor_token(e);
        which = token ? 1 : 2;
        token = token ? token : fy_event_get_tag_token(e);
        if (!token)
            return true;
    }
    mark = token ? fy_token_start_mark(token) : NULL;
    at = mark ? mark->input_pos : p->at;
    if (at > 0 && at <= p->source.len && p->source.ptr[at - 1] == signs[which])
        at--;
    place_of(p, at, &line, &column);
    report_at(p->report, line, column, "%s", complaints[which]);
    return false;
}

static bool is_nothing(sl_str s)
{
    return s.len == 0 || str_eq(s, STR("~")) || str_eq(s, STR("null")) || str_eq(s, STR("Null")) ||
           str_eq(s, STR("NULL"));
}

/* False when the text holds a NUL ("\0" in double quotes). */
static bool scalar_text(struct parse *p, struct fy_event *e, struct yaml_node *n)
{
    size_t len = 0;
    const char *text = e->scalar.value ? fy_token_get_text(e->scalar.value, &len) : "";

    if (!text)
        len = 0;
    if (len > 0 && memchr(text, '\0', len)) {
        report_at(p->report, n->line, n->column, "a text must not hold a NUL character");
        return false;
    }
    n->own = mem_dup((sl_str){ .ptr = len ? text : "", .len = len });
    n->text = (sl_str){ .ptr = n->own, .len = len };
    return true;
}

/* "...\\\ at a line's end", an escaped backslash and then an escaped line break: libfyaml (0.7.12)
 * puts a blank there and loses the text's last character. False: that was reported. */
static bool folds_well(struct parse *p, const struct yaml_node *n)
{
    sl_str s = p->source;
    bool backslash = false; /* an escaped one stands before `at` */
    unsigned line, column;

    for (size_t at = n->start + 1; at < s.len && s.ptr[at] != '"'; at++) {
        if (s.ptr[at] != '\\') {
            backslash = false;
            continue;
        }
        at++;
        if (backslash && at < s.len && (s.ptr[at] == '\n' || s.ptr[at] == '\r')) {
            place_of(p, at - 1, &line, &column);
            report_at(
                p->report, line, column,
                "libfyaml misreads a line that ends in an escaped backslash and a \"\\\"; break "
                "it elsewhere, or write the text as a block (|)");
            return false;
        }
        backslash = at < s.len && s.ptr[at] == '\\';
    }
    return true;
}

static bool scalar_parse(struct parse *p, struct fy_event *e, struct yaml_node *n)
{
    enum fy_scalar_style style = e->scalar.value ? fy_token_scalar_style(e->scalar.value)
                                                 : FYSS_PLAIN;

    if (style == FYSS_LITERAL || style == FYSS_FOLDED)
        place_of(p, block_start(p, n->start), &n->line, &n->column);
    else if ((style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED) && n->start > 0)
        place_of(p, --n->start, &n->line, &n->column); /* the token begins behind the quote */
    if ((style == FYSS_DOUBLE_QUOTED && !folds_well(p, n)) || !scalar_text(p, e, n))
        return false;
    n->quoted = style != FYSS_PLAIN && style != FYSS_ANY;
    n->kind = !n->quoted && is_nothing(n->text) ? YAML_NOTHING : YAML_TEXT;
    return true;
}

static struct yaml_item *item_add(struct yaml_node *n)
{
    if ((n->n & (n->n - 1)) == 0) /* full at each power of two */
        n->items = mem_grow(n->items, (n->n ? n->n * 2 : 1) * sizeof(*n->items));
    n->items[n->n] = (struct yaml_item){ .key = STR("") };
    return &n->items[n->n++];
}

static bool key_parse(struct parse *p, struct fy_event *e, struct yaml_item *item)
{
    struct yaml_node key = { 0 };
    const struct fy_mark *mark = fy_event_start_mark(e);
    bool ok;

    place_of(p, mark ? mark->input_pos : p->at, &key.line, &key.column);
    key.start = mark ? mark->input_pos : p->at;
    if (!event_is_plain(p, e))
        return false;
    if (e->type != FYET_SCALAR) {
        report_at(p->report, key.line, key.column, "a key must be a plain name");
        return false;
    }
    ok = scalar_parse(p, e, &key);
    item->line = key.line;
    item->column = key.column;
    if (ok) {
        item->key = key.text;
        item->own = key.own;
    }
    return ok;
}

static int by_key(const void *a, const void *b)
{
    const struct yaml_item *x = *(const struct yaml_item *const *)a;
    const struct yaml_item *y = *(const struct yaml_item *const *)b;
    int r = strcmp(x->key.ptr, y->key.ptr);

    return r ? r : x < y ? -1 : 1;
}

static void report_duplicates(struct parse *p, const struct yaml_node *map)
{
    const struct yaml_item **sorted = mem_array(map->n + 1, sizeof(const struct yaml_item *));
    char quoted[96];

    for (size_t i = 0; i < map->n; i++)
        sorted[i] = &map->items[i];
    if (map->n > 1)
        qsort(sorted, map->n, sizeof(struct yaml_item *), by_key);
    for (size_t i = 1; i < map->n; i++)
        if (str_eq(sorted[i]->key, sorted[i - 1]->key))
            report_at(p->report, sorted[i]->line, sorted[i]->column,
                      "%s is given twice; the first is on line %u",
                      report_quote(sorted[i]->key, quoted), sorted[i - 1]->line);
    free(sorted);
}

/* Members or elements up to the end event. */
static bool items_parse(struct parse *p, struct yaml_node *n, unsigned depth)
{
    bool map = n->kind == YAML_MAP;

    for (;;) {
        struct fy_event *e = next_event(p);
        struct yaml_item *item;

        if (!e)
            return false;
        if (e->type == (map ? FYET_MAPPING_END : FYET_SEQUENCE_END)) {
            const struct fy_mark *mark = fy_event_end_mark(e);

            n->end = mark ? mark->input_pos : p->at;
            fy_parser_event_free(p->parser, e);
            return true;
        }
        item = item_add(n);
        if (map) {
            bool ok = key_parse(p, e, item);

            fy_parser_event_free(p->parser, e);
            if (!ok || !(e = next_event(p)))
                return false;
        }
        item->value = node_parse(p, e, depth + 1, map ? item : NULL);
        if (!item->value)
            return false;
        if (!map) {
            item->line = item->value->line;
            item->column = item->value->column;
        }
    }
}

/* Takes the event. `key`: the member it is the value of, whose place a missing value takes. */
static struct yaml_node *node_parse(struct parse *p, struct fy_event *e, unsigned depth,
                                    const struct yaml_item *key)
{
    struct yaml_node *n = mem_zero(sizeof(*n));
    const struct fy_mark *start = fy_event_start_mark(e), *end = fy_event_end_mark(e);
    bool ok = event_is_plain(p, e);

    n->start = start ? start->input_pos : p->at;
    n->end = end ? end->input_pos : n->start;
    n->text = STR("");
    if (start || !key) {
        place_of(p, n->start, &n->line, &n->column);
    } else {
        n->line = key->line;
        n->column = key->column;
    }
    if (ok && depth > YAML_MAX_DEPTH) {
        report_at(p->report, n->line, n->column, "nested more than %d deep", YAML_MAX_DEPTH);
        ok = false;
    }
    if (!ok) {
        fy_parser_event_free(p->parser, e);
    } else if (e->type == FYET_SCALAR) {
        ok = scalar_parse(p, e, n);
        fy_parser_event_free(p->parser, e);
    } else {
        n->kind = e->type == FYET_MAPPING_START ? YAML_MAP : YAML_LIST;
        fy_parser_event_free(p->parser, e);
        ok = items_parse(p, n, depth);
        if (ok && n->kind == YAML_MAP)
            report_duplicates(p, n);
    }
    if (!ok) {
        yaml_destroy(n);
        return NULL;
    }
    return n;
}

/* ---- the document ---- */

/* Stream start, at most one document, stream end. */
static struct yaml_node *stream_parse(struct parse *p)
{
    struct yaml_node *root = NULL;

    for (;;) {
        struct fy_event *e = next_event(p);
        enum fy_event_type type = e ? e->type : FYET_NONE;
        const struct fy_mark *mark = e ? fy_event_start_mark(e) : NULL;
        unsigned line, column;

        if (type == FYET_MAPPING_START || type == FYET_SEQUENCE_START || type == FYET_SCALAR ||
            type == FYET_ALIAS) {
            if (!root) {
                root = node_parse(p, e, 1, NULL);
                if (!root)
                    return NULL;
                continue;
            }
            place_of(p, mark ? mark->input_pos : p->at, &line, &column);
            report_at(p->report, line, column, "a second document; one file holds one");
            type = FYET_NONE;
        }
        if (e)
            fy_parser_event_free(p->parser, e);
        if (type == FYET_STREAM_END)
            return root ? root : mem_zero(sizeof(*root));
        if (type == FYET_NONE) {
            yaml_destroy(root);
            return NULL;
        }
    }
}

struct yaml_node *yaml_parse(sl_str source, struct report *r)
{
    struct parse p = { .source = source, .report = r };
    struct fy_parse_cfg conf = { .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_JSON_NONE |
                                          FYPCF_DEFAULT_VERSION_1_2 };
    struct fy_diag_cfg diag;
    struct yaml_node *root = NULL;
    size_t before = r->n;

    if (!source_is_text(&p))
        return NULL;
    fy_diag_cfg_default(&diag);
    diag.fp = NULL;
    diag.level = FYET_ERROR;
    p.diag = fy_diag_create(&diag);
    if (!p.diag)
        goto out;
    fy_diag_set_collect_errors(p.diag, true);
    conf.diag = p.diag;
    p.parser = fy_parser_create(&conf);
    if (!p.parser || fy_parser_set_string(p.parser, source.ptr, source.len) != 0)
        goto out;
    root = stream_parse(&p);
out:
    if (!root && r->n == before)
        report_at(r, 0, 0, "cannot be parsed: out of memory");
    fy_parser_destroy(p.parser);
    fy_diag_destroy(p.diag);
    return root;
}

void yaml_destroy(struct yaml_node *n)
{
    if (!n)
        return;
    for (size_t i = 0; i < n->n; i++) {
        free(n->items[i].own);
        yaml_destroy(n->items[i].value);
    }
    free(n->items);
    free(n->own);
    free(n);
}

/* ---- reading ---- */

const struct yaml_item *yaml_get(const struct yaml_node *map, sl_str key)
{
    if (!map || map->kind != YAML_MAP)
        return NULL;
    for (size_t i = 0; i < map->n; i++)
        if (str_eq(map->items[i].key, key))
            return &map->items[i];
    return NULL;
}

const struct yaml_node *yaml_find(const struct yaml_node *map, const char *path)
{
    const struct yaml_node *n = map;

    while (n) {
        size_t len = strcspn(path, ".");
        const struct yaml_item *item = yaml_get(n, (sl_str){ .ptr = path, .len = len });

        n = item ? item->value : NULL;
        if (path[len] == '\0')
            return n;
        path += len + 1;
    }
    return NULL;
}

void yaml_wrap(const struct yaml_node *map, const char *key, const char *inner)
{
    const struct yaml_item *item = yaml_get(map, str_of(key));
    struct yaml_node *outer = item ? item->value : NULL, *text;

    if (!outer || outer->kind != YAML_TEXT)
        return;
    text = mem_zero(sizeof(*text));
    *text = *outer;
    outer->items = mem_zero(sizeof(*outer->items));
    outer->items[0] = (struct yaml_item){
        .line = item->line, .column = item->column, .value = text, .own = mem_str(inner)
    };
    outer->items[0].key = str_of(outer->items[0].own);
    outer->n = 1;
    outer->kind = YAML_MAP;
    outer->text = (sl_str){ 0 };
    outer->own = NULL;
}

struct yaml_node *yaml_take_first(const struct yaml_node *map, const char *key)
{
    const struct yaml_item *item = yaml_get(map, str_of(key));
    struct yaml_node *node = item ? item->value : NULL, *rest, *first;

    if (!node || node->kind != YAML_LIST || node->n == 0)
        return NULL;
    rest = mem_zero(sizeof(*rest));
    *rest = *node;
    first = rest->items[0].value;
    free(rest->items[0].own);
    rest->n--;
    memmove(rest->items, rest->items + 1, rest->n * sizeof(*rest->items));
    *node = *first;
    free(first);
    return rest;
}

void yaml_describe(const struct yaml_node *n, char out[96])
{
    switch (n->kind) {
    case YAML_NOTHING:
        snprintf(out, 96, "nothing");
        break;
    case YAML_LIST:
        snprintf(out, 96, "a list");
        break;
    case YAML_MAP:
        snprintf(out, 96, "a mapping");
        break;
    case YAML_TEXT:
        report_quote(n->text, out);
        break;
    }
}
