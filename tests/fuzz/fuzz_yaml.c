/*
 * fuzz_yaml.c - the configuration's YAML alone, much faster than whole files: a tree whose every
 * node lies in the source and within the depth, or a mistake that has a text.
 */
#include "fuzz.h"

#include <string.h>
#include "config/yaml.h"

static void check_text(sl_str text)
{
    PROMISE(text.ptr[text.len] == '\0' && strlen(text.ptr) == text.len, "a NUL inside, or none");
}

static void check_node(const struct yaml_node *n, size_t size, int depth)
{
    char described[96];

    PROMISE(depth <= YAML_MAX_DEPTH, "%d deep", depth);
    PROMISE(depth == 0 || (n->line > 0 && n->column > 0), "%u:%u", n->line, n->column);
    PROMISE(n->start <= n->end && n->end <= size, "%zu to %zu", n->start, n->end);
    yaml_describe(n, described);
    PROMISE(memchr(described, '\0', sizeof(described)), "an endless description");
    if (n->kind == YAML_TEXT)
        check_text(n->text);
    for (size_t i = 0; i < n->n; i++) {
        PROMISE(n->kind == YAML_LIST || n->kind == YAML_MAP, "a leaf with items");
        if (n->kind == YAML_MAP) {
            check_text(n->items[i].key);
            PROMISE(yaml_get(n, n->items[i].key) == &n->items[i], "two of a name");
        }
        check_node(n->items[i].value, size, depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct report r = { .file = "f", .source = whole(data, size) };
    struct yaml_node *root = yaml_parse(r.source, &r);
    struct config_errors errors;
    struct buf out = { 0 };

    PROMISE(root || r.n > 0, "no reason");
    if (root && r.n == 0)
        check_node(root, size, 0);
    yaml_destroy(root);
    report_finish(&r, &errors);
    config_errors_print(&out, &errors);
    PROMISE((out.len > 0) == (errors.n > 0), "%zu mistakes, %zu bytes", errors.n, out.len);
    buf_finish(&out);
    config_errors_finish(&errors);
    return 0;
}
