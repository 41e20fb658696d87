/*
 * yaml.h - one YAML document as a tree whose every node knows its place.
 *
 * Built from libfyaml's events, never from its documents: no alias is ever expanded, and duplicate
 * keys, tags, anchors, a second document, too deep a nesting are refused with their place.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sluice/types.h>
#include "config/report.h"

#define YAML_MAX_BYTES (1024 * 1024)
#define YAML_MAX_DEPTH 32

enum yaml_kind { YAML_NOTHING, YAML_TEXT, YAML_LIST, YAML_MAP };

struct yaml_node;

/** A member of a mapping, or an element of a list (then `key` is empty, line and column are the
 *  value's). */
struct yaml_item {
    sl_str key;            /* NUL-terminated, holds no other NUL */
    unsigned line, column; /* of the key */
    struct yaml_node *value;
    char *own; /* the memory behind `key` */
};

struct yaml_node {
    enum yaml_kind kind;
    bool quoted;           /* TEXT: in quotes or a block, so it is no number and no bool */
    unsigned line, column; /* from 1; columns count characters */
    size_t start, end;     /* bytes of the source */
    sl_str text;           /* TEXT: NUL-terminated, holds no other NUL */
    char *own;             /* the memory behind `text` */
    struct yaml_item *items;
    size_t n;
};

/** Own tree, or NULL with at least one mistake in `r`. `source` is borrowed for the call. An empty
 *  document gives a node of kind YAML_NOTHING. */
struct yaml_node *yaml_parse(sl_str source, struct report *r);
void yaml_destroy(struct yaml_node *n); /* NULL is fine */

/** The member `key` of a mapping; NULL: none, or not a mapping (NULL is fine). */
const struct yaml_item *yaml_get(const struct yaml_node *map, sl_str key);
/** The node at a dotted path below `map`; NULL: none. */
const struct yaml_node *yaml_find(const struct yaml_node *map, const char *path);

/** A short form written out: where the member `key` of a mapping is a text, it becomes
 *  { inner: TEXT }. No-op where it is anything else. */
void yaml_wrap(const struct yaml_node *map, const char *key, const char *inner);

/** A list taken apart: where the member `key` of a mapping is a list, it becomes the first element,
 *  and the list of the others is the result, own. NULL: it is no list, or an empty one. */
struct yaml_node *yaml_take_first(const struct yaml_node *map, const char *key);

/** A node as a person would name it: "a list", "nothing", "\"abc\"". `out` holds 96 bytes. */
void yaml_describe(const struct yaml_node *n, char out[96]);
