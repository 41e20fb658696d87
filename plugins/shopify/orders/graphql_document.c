/*
 * graphql_document.c - see graphql_document.h. A reader by descent over the grammar of October
 * 2021, without its type system; nothing of a document is kept but what the header names.
 */
#include "orders/graphql_document.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAX_DEPTH 64

enum token { T_END, T_NAME, T_NUMBER, T_STRING, T_SPREAD, T_SIGN, T_WRONG };

struct reading {
    struct document *to;
    const char *at, *end; /* behind the token */
    enum token token;
    sl_str text; /* of it */
    unsigned line, depth;
    int of_key; /* it is in the arguments of @idempotent */
    size_t operations, roots;
    char *why;
    size_t why_size;
};

__attribute__((format(printf, 2, 3))) static sl_status wrong(struct reading *r, const char *format,
                                                             ...)
{
    va_list args;
    int n = snprintf(r->why, r->why_size, "document: line %u: ", r->line);

    va_start(args, format);
    vsnprintf(r->why + n, r->why_size - (size_t)n, format, args);
    va_end(args);
    for (char *p = r->why; *p; p++)
        if ((unsigned char)*p < ' ')
            *p = ' ';
    return SL_E_INVALID;
}

/* ---- tokens -------------------------------------------------------------------------------- */

static int starts_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Blanks, line ends, commas, comments; a byte order mark is none of ours. */
static void skip_ignored(struct reading *r)
{
    while (r->at < r->end) {
        char c = *r->at;

        if (c == '#') {
            while (r->at < r->end && *r->at != '\n')
                r->at++;
            continue;
        }
        if (c != ' ' && c != '\t' && c != ',' && c != '\n' && c != '\r')
            return;
        r->line += c == '\n';
        r->at++;
    }
}

static enum token take_block_string(struct reading *r)
{
    for (r->at += 3; r->at < r->end; r->at++) {
        r->line += *r->at == '\n';
        if (r->end - r->at >= 4 && memcmp(r->at, "\\\"\"\"", 4) == 0) {
            r->at += 3;
        } else if (r->end - r->at >= 3 && memcmp(r->at, "\"\"\"", 3) == 0) {
            r->at += 3;
            return T_STRING;
        }
    }
    return T_WRONG;
}

static enum token take_string(struct reading *r)
{
    if (r->end - r->at >= 3 && memcmp(r->at, "\"\"\"", 3) == 0)
        return take_block_string(r);
    for (r->at++; r->at < r->end && *r->at != '\n'; r->at++) {
        if (*r->at == '"') {
            r->at++;
            return T_STRING;
        }
        if (*r->at == '\\' && r->end - r->at > 1)
            r->at++;
    }
    return T_WRONG;
}

static enum token take_token(struct reading *r)
{
    char c = *r->at;

    if (starts_name(c)) {
        while (r->at < r->end && (starts_name(*r->at) || is_digit(*r->at)))
            r->at++;
        return T_NAME;
    }
    if (is_digit(c) || c == '-') {
        r->at++;
        while (r->at < r->end && (is_digit(*r->at) || strchr(".eE+-", *r->at)) && *r->at)
            r->at++;
        return T_NUMBER;
    }
    if (c == '"')
        return take_string(r);
    if (r->end - r->at >= 3 && memcmp(r->at, "...", 3) == 0) {
        r->at += 3;
        return T_SPREAD;
    }
    r->at++;
    return c && strchr("!$():=@[]{}|&", c) ? T_SIGN : T_WRONG;
}

static void next(struct reading *r)
{
    const char *begin;

    skip_ignored(r);
    begin = r->at;
    r->token = r->at < r->end ? take_token(r) : T_END;
    r->text = (sl_str){ begin, (size_t)(r->at - begin) };
}

static int is(const struct reading *r, const char *text)
{
    return (r->token == T_SIGN || r->token == T_NAME) && r->text.len == strlen(text) &&
           memcmp(r->text.ptr, text, r->text.len) == 0;
}

static sl_status unexpected(struct reading *r, const char *wanted)
{
    if (r->token == T_END)
        return wrong(r, "it ends where %s is wanted", wanted);
    return wrong(r, "\"%.*s\" stands where %s is wanted",
                 (int)(r->text.len < 40 ? r->text.len : 40), r->text.ptr, wanted);
}

static sl_status take_sign(struct reading *r, const char *sign)
{
    if (!is(r, sign))
        return unexpected(r, sign);
    next(r);
    return SL_OK;
}

static sl_status take_name(struct reading *r, sl_str *ret)
{
    if (r->token != T_NAME)
        return unexpected(r, "a name");
    *ret = r->text;
    next(r);
    return SL_OK;
}

/* ---- values, arguments, directives --------------------------------------------------------- */

static sl_status go_down(struct reading *r)
{
    if (++r->depth > MAX_DEPTH)
        return wrong(r, "it is nested deeper than %d", MAX_DEPTH);
    return SL_OK;
}

static struct document_variable *variable_of(struct document *d, sl_str name)
{
    for (size_t i = 0; i < d->n_variables; i++)
        if (d->variables[i].name.len == name.len &&
            memcmp(d->variables[i].name.ptr, name.ptr, name.len) == 0)
            return &d->variables[i];
    return NULL;
}

/* A fragment may stand before the operation that declares: only what it declares is known. */
static sl_status use_variable(struct reading *r)
{
    struct document_variable *v;
    sl_str name = { 0 };
    sl_status s;

    next(r);
    if ((s = take_name(r, &name)) < 0)
        return s;
    v = variable_of(r->to, name);
    if (!v)
        return wrong(r, "$%.*s is used and not declared; fragments stand behind the operation",
                     (int)(name.len < 60 ? name.len : 60), name.ptr);
    v->used = 1;
    if (!r->of_key)
        return SL_OK;
    if (name.len >= DOCUMENT_NAME)
        return wrong(r, "a name is longer than %d characters", DOCUMENT_NAME - 1);
    memcpy(r->to->key, name.ptr, name.len);
    r->to->key[name.len] = '\0';
    return SL_OK;
}

static sl_status take_value(struct reading *r);

static sl_status take_list(struct reading *r)
{
    sl_status s = go_down(r);

    next(r);
    while (s == SL_OK && !is(r, "]"))
        s = take_value(r);
    r->depth--;
    if (s == SL_OK)
        next(r);
    return s;
}

/* `close`: what ends the pairs, which begin with the token before. */
static sl_status take_pairs(struct reading *r, const char *close)
{
    sl_status s = go_down(r);
    sl_str name = { 0 };

    next(r);
    while (s == SL_OK && !is(r, close))
        if ((s = take_name(r, &name)) == SL_OK && (s = take_sign(r, ":")) == SL_OK)
            s = take_value(r);
    r->depth--;
    if (s == SL_OK)
        next(r);
    return s;
}

static sl_status take_value(struct reading *r)
{
    if (is(r, "$"))
        return use_variable(r);
    if (is(r, "["))
        return take_list(r);
    if (is(r, "{"))
        return take_pairs(r, "}");
    if (r->token != T_NAME && r->token != T_NUMBER && r->token != T_STRING)
        return unexpected(r, "a value");
    next(r);
    return SL_OK;
}

static sl_status take_directives(struct reading *r)
{
    sl_status s = SL_OK;
    sl_str name = { 0 };

    while (s == SL_OK && is(r, "@")) {
        next(r);
        s = take_name(r, &name);
        r->of_key = s == SL_OK && name.len == 10 && memcmp(name.ptr, "idempotent", 10) == 0;
        if (s == SL_OK && is(r, "("))
            s = take_pairs(r, ")");
        if (s == SL_OK && r->of_key && !r->to->key[0])
            s = wrong(r,
                      "@idempotent wants (key: $key), a variable: by a fixed key two deliveries "
                      "were one");
        r->of_key = 0;
    }
    return s;
}

/* ---- selections ---------------------------------------------------------------------------- */

static sl_status take_selections(struct reading *r, int level);

static sl_status keep_name(struct reading *r, sl_str name, char *to)
{
    if (name.len >= DOCUMENT_NAME)
        return wrong(r, "a name is longer than %d characters", DOCUMENT_NAME - 1);
    memcpy(to, name.ptr, name.len);
    to[name.len] = '\0';
    return SL_OK;
}

/* Of a mutation: its own field (level 1), and in it the list of errors (level 2). */
static sl_status note_field(struct reading *r, sl_str name, sl_str field, int level)
{
    static const char ending[] = "serErrors";
    size_t n = sizeof(ending) - 1;

    if (!r->to->mutation)
        return SL_OK;
    if (level == 1) {
        if (r->roots++)
            return wrong(r,
                         "a mutation wants one field: of several nobody could tell which of "
                         "them were done when an answer is lost");
        return keep_name(r, name, r->to->root);
    }
    /* userErrors is deprecated where there is an own one, such as orderCancelUserErrors */
    if (level == 2 && field.len >= n && memcmp(field.ptr + field.len - n, ending, n) == 0 &&
        strlen(r->to->errors) <= name.len)
        return keep_name(r, name, r->to->errors);
    return SL_OK;
}

static sl_status take_field(struct reading *r, int level)
{
    sl_str name = { 0 }, field;
    sl_status s = take_name(r, &name);

    field = name;
    if (s == SL_OK && is(r, ":")) {
        next(r);
        s = take_name(r, &field);
    }
    if (s == SL_OK)
        s = note_field(r, name, field, level);
    if (s == SL_OK && is(r, "("))
        s = take_pairs(r, ")");
    if (s == SL_OK)
        s = take_directives(r);
    if (s == SL_OK && is(r, "{"))
        s = take_selections(r, level + 1);
    return s;
}

/* "... on Type {", "... @include {", "...Name" */
static sl_status take_spread(struct reading *r, int level)
{
    sl_status s;
    sl_str name = { 0 };

    next(r);
    if (level == 1 && r->to->mutation)
        return wrong(r, "a mutation's field is written out, not by a fragment");
    if (is(r, "on")) {
        next(r);
        s = take_name(r, &name);
    } else if (r->token == T_NAME) {
        next(r);
        return take_directives(r);
    } else {
        s = SL_OK;
    }
    if (s == SL_OK)
        s = take_directives(r);
    return s == SL_OK ? take_selections(r, level) : s;
}

static sl_status take_selections(struct reading *r, int level)
{
    sl_status s = take_sign(r, "{");

    if (s == SL_OK)
        s = go_down(r);
    if (s == SL_OK && is(r, "}"))
        s = wrong(r, "a selection is empty");
    while (s == SL_OK && !is(r, "}"))
        s = r->token == T_SPREAD ? take_spread(r, level) : take_field(r, level);
    if (s == SL_OK) {
        r->depth--;
        next(r);
    }
    return s;
}

/* ---- definitions --------------------------------------------------------------------------- */

static sl_status take_type(struct reading *r, int *ret_required)
{
    sl_status s;
    sl_str name = { 0 };
    int inner;

    if (is(r, "[")) {
        if ((s = go_down(r)) < 0)
            return s;
        next(r);
        if ((s = take_type(r, &inner)) == SL_OK)
            s = take_sign(r, "]");
        r->depth--;
    } else {
        s = take_name(r, &name);
    }
    *ret_required = s == SL_OK && is(r, "!");
    if (*ret_required)
        next(r);
    return s;
}

static sl_status take_variable(struct reading *r)
{
    struct document *d = r->to;
    struct document_variable v = { 0 };
    sl_status s = take_sign(r, "$");

    if (s == SL_OK && (s = take_name(r, &v.name)) == SL_OK && variable_of(d, v.name))
        return wrong(r, "$%.*s is declared twice", (int)(v.name.len < 60 ? v.name.len : 60),
                     v.name.ptr);
    if (s == SL_OK && d->n_variables == DOCUMENT_VARIABLES)
        return wrong(r, "it declares more than %d variables", DOCUMENT_VARIABLES);
    if (s == SL_OK && (s = take_sign(r, ":")) == SL_OK)
        s = take_type(r, &v.required);
    if (s == SL_OK && is(r, "=")) {
        next(r);
        if (is(r, "$"))
            return wrong(r, "a default is no variable");
        v.required = 0;
        s = take_value(r);
    }
    if (s == SL_OK)
        s = take_directives(r);
    if (s == SL_OK)
        d->variables[d->n_variables++] = v;
    return s;
}

static sl_status take_operation(struct reading *r)
{
    sl_status s = SL_OK;

    if (r->operations++)
        return wrong(r, "it has several operations: give each a route of its own");
    if (!is(r, "{")) {
        r->to->mutation = is(r, "mutation");
        if (is(r, "subscription"))
            return wrong(r, "the Admin API has no subscriptions of this kind");
        next(r);
        if (r->token == T_NAME)
            next(r);
        if (is(r, "(")) {
            next(r);
            while (s == SL_OK && !is(r, ")"))
                s = take_variable(r);
            if (s == SL_OK)
                next(r);
        }
        if (s == SL_OK)
            s = take_directives(r);
    }
    return s == SL_OK ? take_selections(r, 1) : s;
}

static sl_status take_fragment(struct reading *r)
{
    sl_status s;
    sl_str name = { 0 };

    next(r);
    if ((s = take_name(r, &name)) == SL_OK && !is(r, "on"))
        return unexpected(r, "on");
    if (s == SL_OK) {
        next(r);
        s = take_name(r, &name);
    }
    if (s == SL_OK)
        s = take_directives(r);
    return s == SL_OK ? take_selections(r, 3) : s; /* a mutation's errors are written out */
}

static sl_status check_whole(struct reading *r)
{
    const struct document *d = r->to;

    if (r->operations == 0)
        return wrong(r, "it has no operation: it begins with query or mutation");
    if (d->mutation && !d->errors[0])
        return wrong(r,
                     "%s { ... } wants userErrors { field message } in it, or nobody learns "
                     "what the shop refuses",
                     d->root);
    for (size_t i = 0; i < d->n_variables; i++)
        if (!d->variables[i].used)
            return wrong(r, "$%.*s is declared and not used: the shop refuses that",
                         (int)(d->variables[i].name.len < 60 ? d->variables[i].name.len : 60),
                         d->variables[i].name.ptr);
    return SL_OK;
}

sl_status document_read(sl_str text, struct document *ret, char *why, size_t why_size)
{
    struct reading r = { .to = ret,
                         .at = text.ptr,
                         .end = text.ptr + text.len,
                         .line = 1,
                         .why = why,
                         .why_size = why_size };
    sl_status s = SL_OK;

    memset(ret, 0, sizeof(*ret));
    if (text.len > DOCUMENT_MAX)
        return wrong(&r, "it has more than %d bytes", DOCUMENT_MAX);
    next(&r);
    while (s == SL_OK && r.token != T_END) {
        if (is(&r, "fragment"))
            s = take_fragment(&r);
        else if (is(&r, "{") || is(&r, "query") || is(&r, "mutation") || is(&r, "subscription"))
            s = take_operation(&r);
        else
            s = unexpected(&r, "query, mutation or fragment");
    }
    return s == SL_OK ? check_whole(&r) : s;
}
