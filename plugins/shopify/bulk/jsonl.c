/*
 * jsonl.c - see jsonl.h.
 */
#include "bulk/jsonl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 65536

static int bad(struct jsonl *j, const char *what)
{
    snprintf(j->why, sizeof(j->why), "at byte %lld: %.150s", (long long)j->line_at, what);
    return -1;
}

int jsonl_add(struct jsonl *j, const char *p, size_t n)
{
    size_t room = j->room ? j->room : FIRST_ROOM;
    char *text;

    if (j->taken) {
        memmove(j->text, j->text + j->taken, j->len - j->taken);
        j->len -= j->taken;
        j->taken = 0;
    }
    if (n > SIZE_MAX / 4 - j->len)
        return bad(j, "out of memory");
    while (room < j->len + n)
        room *= 2;
    if (room != j->room) {
        text = realloc(j->text, room);
        if (!text)
            return bad(j, "out of memory");
        j->text = text;
        j->room = room;
    }
    if (n)
        memcpy(j->text + j->len, p, n);
    j->len += n;
    return 0;
}

void jsonl_end(struct jsonl *j)
{
    j->ended = 1;
}

/* ---- parents and children ------------------------------------------------------------------- */

static const char *text_at(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));

    return s ? s : "";
}

/* An object with empty connections, as a query gives it. -1: no memory. */
static int give_connections(struct jsonl *j, json_t *to, const char *type)
{
    for (const struct jsonl_child *c = j->table; c->type; c++) {
        if (type ? !c->parent || strcmp(c->parent, type) != 0 : c->parent != NULL)
            continue;
        if (!json_object_get(to, c->connection) &&
            json_object_set_new(
                to, c->connection,
                json_pack("{s:[],s:{s:b}}", "nodes", "pageInfo", "hasNextPage", 0)) < 0)
            return bad(j, "out of memory");
    }
    return 0;
}

static int remember(struct jsonl *j, json_t *object)
{
    const char *id = text_at(object, "id");

    return *id && json_object_set(j->ids, id, object) < 0 ? bad(j, "out of memory") : 0;
}

/* `line` is taken over. */
static int add_child(struct jsonl *j, json_t *line)
{
    const char *type = text_at(line, "__typename");
    json_t *parent = json_object_get(j->ids, text_at(line, "__parentId")), *nodes;
    const char *of = parent == j->root ? NULL : text_at(parent, "__typename");
    const struct jsonl_child *c = j->table;
    int r;

    while (c->type && (strcmp(c->type, type) != 0 ||
                       (of ? !c->parent || strcmp(c->parent, of) != 0 : c->parent != NULL)))
        c++;
    if (!parent || !c->type) {
        json_decref(line);
        return bad(j, parent ? "a child of a type that was not asked for"
                             : "a child whose parent does not stand before it");
    }
    nodes = json_object_get(json_object_get(parent, c->connection), "nodes");
    if (!json_is_array(nodes)) {
        json_decref(line);
        return bad(j, "a parent has something else where its children belong");
    }
    json_object_del(line, "__parentId");
    r = give_connections(j, line, type) | remember(j, line);
    if (r == 0 && json_array_append(nodes, line) < 0)
        r = bad(j, "out of memory");
    json_decref(line);
    return r;
}

/* `line` is taken over. */
static int begin_root(struct jsonl *j, json_t *line)
{
    j->root = line;
    json_decref(j->ids);
    j->ids = json_object();
    if (!j->ids)
        return bad(j, "out of memory");
    return give_connections(j, line, NULL) | remember(j, line);
}

/* ---- lines ---------------------------------------------------------------------------------- */

/* The next line that is whole, and its length with its end; 0: there is none. */
static size_t whole_line(const struct jsonl *j, size_t *ret_len)
{
    size_t left = j->len - j->taken;
    const char *p, *end;

    if (left == 0) /* perhaps there is no text at all */
        return 0;
    p = j->text + j->taken;
    end = memchr(p, '\n', left);
    if (!end && !j->ended)
        return 0;
    *ret_len = end ? (size_t)(end - p) : left;
    return end ? *ret_len + 1 : left;
}

static int is_blank(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != ' ' && p[i] != '\r' && p[i] != '\t')
            return 0;
    return 1;
}

/* The whole root before it goes to *ret. */
static enum jsonl_next take_root(struct jsonl *j, json_t *next, json_t **ret)
{
    json_t *whole = j->root;

    j->root = NULL;
    if (whole)
        j->offset = j->line_at;
    if (next && begin_root(j, next) < 0) {
        json_decref(whole);
        return JSONL_BAD;
    }
    *ret = whole;
    return whole ? JSONL_ROOT : next ? JSONL_MORE : JSONL_END;
}

enum jsonl_next jsonl_next(struct jsonl *j, json_t **ret)
{
    enum jsonl_next r = JSONL_MORE;
    size_t n, len = 0;

    if (j->why[0])
        return JSONL_BAD;
    while (r == JSONL_MORE && (n = whole_line(j, &len)) > 0) {
        const char *p = j->text + j->taken;
        json_error_t error;
        json_t *line = NULL;

        if (!is_blank(p, len))
            line = json_loadb(p, len, JSON_REJECT_DUPLICATES, &error);
        if (!is_blank(p, len) && !json_is_object(line)) {
            bad(j, line ? "a line is no object" : error.text);
            json_decref(line);
            return JSONL_BAD;
        }
        if (line && json_object_get(line, "__parentId")) {
            if (add_child(j, line) < 0)
                return JSONL_BAD;
        } else if (line) {
            r = take_root(j, line, ret);
        }
        j->taken += n;
        j->line_at += (int64_t)n;
    }
    if (r != JSONL_MORE)
        return r;
    if (j->len - j->taken > JSONL_LINE_MAX) {
        bad(j, "a line is longer than 4 MiB");
        return JSONL_BAD;
    }
    return j->ended ? take_root(j, NULL, ret) : JSONL_MORE;
}

void jsonl_finish(struct jsonl *j)
{
    json_decref(j->root);
    json_decref(j->ids);
    free(j->text);
}
