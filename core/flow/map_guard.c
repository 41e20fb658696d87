/*
 * map_guard.c - the scan. Where it and jq's lexer could ever differ it must err on the side of
 * refusing; the worker's empty environment and closed descriptors stand behind it.
 */
#include "flow/map_guard.h"

#include <stdbool.h>
#include "base/buf.h"
#include "flow/mapper.h"

#define NEST_MAX 256

static const struct word {
    const char *name;
    const char *instead;
} forbidden[] = {
    { "env", "a mapping has no environment" },
    { "input", "a mapping has one input, \".\"" },
    { "inputs", "a mapping has one input, \".\"" },
    { "input_filename", "a mapping has one input, \".\"" },
    { "input_line_number", "a mapping has one input, \".\"" },
    { "debug", "use `sluice try` to see what a mapping makes" },
    { "stderr", "use `sluice try` to see what a mapping makes" },
    { "import", "a mapping is one file" },
    { "include", "a mapping is one file" },
    { "module", "a mapping is one file" },
    { "modulemeta", "a mapping is one file" },
    { "get_search_list", "a mapping is one file" },
    { "get_jq_origin", "a mapping is one file" },
    { "get_prog_origin", "a mapping is one file" },
    { "now", "use $received: a mapping gives the same result whenever it runs" },
    { "localtime", "use gmtime: a mapping gives the same result wherever it runs" },
    { "strflocaltime", "use strftime: a mapping gives the same result wherever it runs" },
    { "halt", "use error(\"why\")" },
    { "halt_error", "use error(\"why\")" },
};

/* What is open around the place of the scan. */
enum nest {
    NEST_PAREN,
    NEST_BRACKET,
    NEST_BRACE,
    NEST_IF,     /* until "end": a ',' in there starts no key of the object around it */
    NEST_STRING, /* a string interrupted by \( */
};

struct guard {
    const char *p, *end;
    unsigned line;
    enum nest nest[NEST_MAX];
    unsigned depth;
    bool key;    /* the next name would be an object's key */
    bool dollar; /* the next name is a variable's */
    struct fail *fail;
};

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name(char c)
{
    return is_name_start(c) || (c >= '0' && c <= '9');
}

static int refuse(struct guard *g, const char *why)
{
    return fail_set(g->fail, MAP_E_PROGRAM, "line %u: %s", g->line, why);
}

static int push(struct guard *g, enum nest what)
{
    if (g->depth == NEST_MAX)
        return refuse(g, "the program is nested too deep");
    g->nest[g->depth++] = what;
    return 0;
}

static bool inside(const struct guard *g, enum nest what)
{
    return g->depth > 0 && g->nest[g->depth - 1] == what;
}

/* p stands inside a string; goes behind its end or into an interpolation. */
static int scan_string(struct guard *g)
{
    while (g->p < g->end) {
        char c = *g->p++;

        if (c == '"')
            return 0;
        if (c == '\n')
            g->line++;
        if (c != '\\' || g->p == g->end)
            continue;
        if (*g->p++ == '(')
            return push(g, NEST_STRING);
    }
    return refuse(g, "a string has no end");
}

static int close_bracket(struct guard *g, enum nest what)
{
    if (what == NEST_PAREN && inside(g, NEST_STRING)) {
        g->depth--;
        return scan_string(g);
    }
    if (!inside(g, what))
        return refuse(g, "a bracket closes that was not opened");
    g->depth--;
    return 0;
}

static int scan_name(struct guard *g)
{
    const char *name = g->p;
    bool key = g->key && inside(g, NEST_BRACE), variable = g->dollar;
    sl_str s;

    while (g->p < g->end &&
           (is_name(*g->p) || (g->end - g->p > 2 && g->p[0] == ':' && g->p[1] == ':')))
        g->p += *g->p == ':' ? 2 : 1;
    s = (sl_str){ .ptr = name, .len = (size_t)(g->p - name) };
    if (variable) {
        if (str_eq(s, STR("ENV")))
            return refuse(g, "$ENV is not allowed: a mapping has no environment");
        if (str_eq(s, STR("__prog_args")))
            return refuse(g, "$__prog_args is not allowed");
        return 0;
    }
    if (key)
        return 0;
    for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
        if (str_eq(s, str_of(forbidden[i].name)))
            return fail_set(g->fail, MAP_E_PROGRAM, "line %u: %s is not allowed: %s", g->line,
                            forbidden[i].name, forbidden[i].instead);
    if (str_eq(s, STR("if")))
        return push(g, NEST_IF);
    if (str_eq(s, STR("end")) && inside(g, NEST_IF))
        g->depth--;
    return 0;
}

/* A number is one token to jq, its exponent too: "1e5". */
static void scan_number(struct guard *g)
{
    while (g->p < g->end && ((*g->p >= '0' && *g->p <= '9') || *g->p == '.'))
        g->p++;
    if (g->end - g->p >= 2 && (*g->p == 'e' || *g->p == 'E')) {
        const char *p = g->p + 1;

        if (*p == '+' || *p == '-')
            p++;
        if (p < g->end && *p >= '0' && *p <= '9')
            for (g->p = p; g->p < g->end && *g->p >= '0' && *g->p <= '9';)
                g->p++;
    }
}

/* "..", ".name" and a bare dot. jq takes a field only when the name follows at once. */
static void scan_dot(struct guard *g)
{
    g->p++;
    if (g->p < g->end && *g->p == '.') {
        g->p++;
        return;
    }
    if (g->p < g->end && *g->p >= '0' && *g->p <= '9') {
        g->p--;
        scan_number(g);
        return;
    }
    if (g->p < g->end && is_name_start(*g->p))
        while (g->p < g->end && is_name(*g->p))
            g->p++;
}

/* One character that is a token by itself, or part of an operator. */
static int scan_mark(struct guard *g)
{
    switch (*g->p++) {
    case '(':
        return push(g, NEST_PAREN);
    case '[':
        return push(g, NEST_BRACKET);
    case '{':
        g->key = true;
        return push(g, NEST_BRACE);
    case ')':
        return close_bracket(g, NEST_PAREN);
    case ']':
        return close_bracket(g, NEST_BRACKET);
    case '}':
        return close_bracket(g, NEST_BRACE);
    case '"':
        return scan_string(g);
    case ',':
        g->key = inside(g, NEST_BRACE);
        return 0;
    case '$':
        g->dollar = true;
        return 0;
    case '@': /* a format: @json */
        while (g->p < g->end && is_name(*g->p))
            g->p++;
        return 0;
    default:
        return 0;
    }
}

static int scan_token(struct guard *g)
{
    char c = *g->p;
    int r = 0;

    if (c == '\n')
        g->line++;
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
        g->p++;
        return 0; /* what may follow stays as it is: jq allows "$ ENV" */
    }
    if (c == '#') {
        while (g->p < g->end && *g->p != '\n')
            g->p++;
        return 0;
    }
    if (is_name_start(c) || c == '.' || (c >= '0' && c <= '9')) {
        if (is_name_start(c))
            r = scan_name(g);
        else if (c == '.')
            scan_dot(g);
        else
            scan_number(g);
        g->key = g->dollar = false;
        return r;
    }
    g->key = g->dollar = false;
    return scan_mark(g);
}

int map_guard(sl_str program, struct fail *fail)
{
    struct guard g = {
        .p = program.ptr, .end = program.ptr + program.len, .line = 1, .fail = fail
    };
    int r;

    if (program.len > 0 && memchr(program.ptr, '\0', program.len))
        return fail_set(fail, MAP_E_PROGRAM, "the program holds a NUL byte");
    while (g.p < g.end)
        if ((r = scan_token(&g)) < 0)
            return r;
    return g.depth > 0 ? refuse(&g, "a bracket or an \"if\" is not closed") : 0;
}
