#include "flow/program.h"

#include <string.h>

const char *const program_vars[] = { "received", "event", "delivery", "with", NULL };

/** A user's text in brackets; the newline ends a comment on its last line. */
static void part(struct buf *b, const char *text)
{
    buf_cstr(b, "(\n");
    buf_cstr(b, text);
    buf_cstr(b, "\n)");
}

bool program_needed(const struct conf_route *r)
{
    return r->when || r->split || r->map || r->choose || r->coalesce_by || r->n_with;
}

void program_compose(struct buf *b, const struct conf_route *r)
{
    if (r->when) {
        buf_cstr(b, "if ");
        part(b, r->when);
        buf_cstr(b, " then ");
    }
    if (r->split) {
        part(b, r->split);
        buf_cstr(b,
                 " | if type == \"object\" and has(\"key\") and has(\"body\") then . else "
                 "error(\"split: every output must be an object {key, body}\") end");
    } else if (r->coalesce_by) {
        buf_cstr(b, "{key: ([");
        part(b, r->coalesce_by);
        buf_cstr(b,
                 "] | if length == 1 and (.[0] | type == \"string\" or type == \"number\") and "
                 ".[0] != \"\" then .[0] else error(\"coalesce: wants one text or number as its "
                 "key, got \\(tojson[:100])\") end), body: .}");
    } else {
        buf_cstr(b, "{key: \"\", body: .}");
    }
    buf_cstr(b, " | (.key | if type == \"string\" then . else tojson end) as $sluice_key | .body");
    if (r->map) {
        buf_cstr(b, " | [");
        part(b, r->map);
        buf_cstr(b,
                 "] | if length == 1 then .[0] else error(\"map: wants exactly one output, got "
                 "\\(length)\") end");
    }
    buf_cstr(b, " | {key: $sluice_key, body: .} | .key, ");
    if (r->choose) {
        buf_cstr(b, "([");
        part(b, r->choose);
        buf_cstr(b,
                 "] | if length == 1 then .[0] else error(\"choose: wants exactly one output, "
                 "got \\(length)\") end)");
    } else {
        buf_cstr(b, "null");
    }
    buf_cstr(b, ", .body");
    if (r->when)
        buf_cstr(b, " else empty end");
}

void program_compose_keys(struct buf *b, const struct conf_route *r)
{
    bool first = r->when && !strstr(r->when, "$with"); /* else it needs the rows itself */

    if (first) {
        buf_cstr(b, "if ");
        part(b, r->when);
        buf_cstr(b, " then ");
    }
    for (size_t i = 0; i < r->n_with; i++) {
        buf_cstr(b, i ? ", ([" : "([");
        part(b, r->with[i].keys);
        buf_printf(b,
                   "] | if length == 1 and (.[0] | type == \"array\") then .[0] else error(\"%s: "
                   "keys wants one list, got \\(tojson[:100])\") end | map(if type == \"string\" "
                   "then . elif type == \"number\" then tojson elif . == null then empty else "
                   "error(\"%s: a key is a text, got \\(tojson[:100])\") end | select(. != \"\")) "
                   "| unique)",
                   r->with[i].name, r->with[i].name);
    }
    if (first)
        buf_cstr(b, " else empty end");
}
