/*
 * hold.c - what a held delivery carries, and what it means when somebody or its clock decides.
 */
#include "flow/hold.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "flow/row.h"

static const char *const then_names[] = { "", "release", "reject", "escalate", "lookup" };

const char *hold_duration(int64_t ms, char out[24])
{
    units_format_duration(ms, out);
    return out;
}

const struct conf_hold *hold_of(const struct conf_route *r, sl_str type)
{
    if (r && r->wait && str_eq(str_of(r->wait->type), type))
        return r->wait;
    if (r && r->hold && str_eq(str_of(r->hold->type), type))
        return r->hold;
    for (size_t i = 0; r && i < r->n_targets; i++)
        if (r->targets[i].hold && str_eq(str_of(r->targets[i].hold->type), type))
            return r->targets[i].hold;
    return NULL;
}

/* ---- writing ---- */

static void put_member(struct buf *b, const char *name, const char *value)
{
    if (!value)
        return;
    buf_printf(b, ",\"%s\":", name);
    buf_json_str(b, str_of(value));
}

static void put_choices(struct buf *b, const struct conf_hold *h)
{
    static const struct conf_choice usual[] = { { .name = (char *)"release", .release = true },
                                                { .name = (char *)"reject" } };
    const struct conf_choice *c = h->n_choices ? h->choices : usual;
    size_t n = h->n_choices ? h->n_choices : 2;

    buf_cstr(b, ",\"choices\":[");
    for (size_t i = 0; i < n; i++) {
        buf_cstr(b, i ? ",{\"name\":" : "{\"name\":");
        buf_json_str(b, str_of(c[i].name));
        put_member(b, "do", c[i].release ? "release" : "reject");
        put_member(b, "to", c[i].to);
        put_member(b, "text", c[i].text);
        hold_fill_put(b, &c[i]);
        buf_char(b, '}');
    }
    buf_char(b, ']');
}

char *hold_detail(const struct conf_hold *h, const struct conf_route *r, sl_str before,
                  sl_str evidence, sl_str lack, sl_str next)
{
    const char *owner = h->owner ? h->owner : r->owner;
    struct buf b = { 0 };

    if (before.len > 2) {
        buf_append(&b, before.ptr, before.len - 1); /* without its bracket */
        buf_cstr(&b, ",\"hold\":");
    } else {
        buf_cstr(&b, "{\"hold\":");
    }
    buf_json_str(&b, str_of(h->type));
    put_member(&b, "owner", owner);
    if (h->for_ms) {
        put_member(&b, "then", then_names[h->then]);
        buf_printf(&b, ",\"for_ms\":%" PRId64, h->for_ms);
    }
    put_member(&b, "escalate_to", h->escalate_to);
    put_member(&b, "to", h->to);
    if (h->n_until)
        buf_cstr(&b, ",\"until\":[");
    for (size_t i = 0; i < h->n_until; i++) {
        buf_cstr(&b, i ? "," : "");
        buf_json_str(&b, str_of(h->until[i]));
    }
    if (h->n_until)
        buf_char(&b, ']');
    if (strcmp(h->type, HOLD_WAIT_FOR) != 0)
        put_choices(&b, h);
    if (lack.len) {
        buf_cstr(&b, ",\"evidence_lacks\":");
        buf_json_str(&b, lack);
    }
    if (evidence.len) {
        buf_cstr(&b, ",\"evidence\":");
        buf_str(&b, evidence);
    } else if (next.len) {
        buf_cstr(&b, ",\"next\":");
        buf_str(&b, next);
    }
    buf_char(&b, '}');
    return buf_steal(&b, NULL);
}

/* ---- reading ---- */

/** The raw text of the last member, which has this name; empty: there is none. Before it stand only
 *  texts and numbers of our own, and a quote inside a text is written as \". */
static sl_str last_member(sl_str detail, const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i + n < detail.len; i++)
        if (memcmp(detail.ptr + i, name, n) == 0)
            return (sl_str){ detail.ptr + i + n, detail.len - i - n - 1 };
    return STR("");
}

#define EVIDENCE ",\"evidence\":"
#define NEXT     ",\"next\":"

json_t *hold_read_any(sl_str detail)
{
    sl_str evidence = last_member(detail, EVIDENCE), next = last_member(detail, NEXT);
    struct buf head = { 0 };
    json_t *j;

    buf_append(&head, detail.ptr,
               evidence.len ? (size_t)(evidence.ptr - detail.ptr) - strlen(EVIDENCE) : detail.len);
    if (evidence.len)
        buf_cstr(&head, next.len ? "}}" : "}");
    j = head.len ? json_loadb(head.data, head.len, 0, NULL) : NULL;
    buf_finish(&head);
    return j;
}

json_t *hold_read(const struct store_delivery *row)
{
    json_t *j = hold_read_any(row->detail);
    const char *type = json_string_value(json_object_get(j, "hold"));

    if (type && str_eq(row->hold_type, str_of(type)))
        return j;
    json_decref(j); /* of an earlier hold */
    return NULL;
}

#define HOLD "\"hold\":"

void hold_carry(struct buf *detail, const struct store_delivery *row)
{
    json_t *own = hold_read(row);
    bool says = own || hold_amended_by(row->detail); /* of an earlier hold, and counts still */
    size_t at = 0;

    while (says && at + strlen(HOLD) < row->detail.len &&
           memcmp(row->detail.ptr + at, HOLD, strlen(HOLD)) != 0)
        at++;
    if (says && at + strlen(HOLD) < row->detail.len) {
        if (detail->len > 2) {
            detail->len--; /* its bracket */
            buf_char(detail, ',');
        } else {
            buf_clear(detail);
            buf_char(detail, '{');
        }
        buf_append(detail, row->detail.ptr + at, row->detail.len - at);
    }
    json_decref(own);
}

#define AMENDED ",\"amended_by\":\""

/** Behind the type of the hold, where hold_carry() takes it along; 0: it says nothing of a hold. */
static size_t behind_type(sl_str detail)
{
    static const char begin[] = HOLD "\"";
    size_t n = sizeof(begin) - 1;

    for (size_t i = 0; i + n < detail.len; i++) {
        const char *end;
        if (memcmp(detail.ptr + i, begin, n) != 0)
            continue;
        end = memchr(detail.ptr + i + n, '"', detail.len - i - n);
        return end ? (size_t)(end - detail.ptr) + 1 : 0;
    }
    return 0;
}

/** The name in what follows there; empty: it was not amended yet. */
static sl_str amended_at(sl_str detail, size_t at)
{
    size_t n = strlen(AMENDED);
    const char *end;

    if (!at || detail.len - at <= n || memcmp(detail.ptr + at, AMENDED, n) != 0)
        return STR("");
    end = memchr(detail.ptr + at + n, '"', detail.len - at - n);
    return end ? (sl_str){ detail.ptr + at + n, (size_t)(end - detail.ptr) - at - n } : STR("");
}

uint64_t hold_amended_by(sl_str detail)
{
    sl_str name = amended_at(detail, behind_type(detail));
    uint64_t num = 0;

    if (!name.len || delivery_parse(name, &num) < 0)
        return 0;
    return num;
}

char *hold_amended(const struct store_delivery *row, uint64_t by)
{
    size_t at = behind_type(row->detail), rest = at;
    sl_str before = amended_at(row->detail, at);
    struct buf b = { 0 };
    char name[32];

    delivery_name(by, name);
    if (before.len)
        rest = (size_t)(before.ptr - row->detail.ptr) + before.len + 1;
    if (at) {
        buf_append(&b, row->detail.ptr, at);
    } else { /* held without a word of its own: by an adapter, or by a hold that a reload took */
        buf_cstr(&b, "{" HOLD);
        buf_json_str(&b, row->hold_type);
    }
    buf_printf(&b, AMENDED "%s\"", name);
    if (at)
        buf_append(&b, row->detail.ptr + rest, row->detail.len - rest);
    else if (row->detail.len > 2) {
        buf_char(&b, ',');
        buf_append(&b, row->detail.ptr + 1, row->detail.len - 1);
    } else {
        buf_char(&b, '}');
    }
    return buf_steal(&b, NULL);
}

static const char *text_in(const json_t *o, const char *name)
{
    return json_string_value(json_object_get(o, name));
}

static char *own(const char *text)
{
    return text ? mem_str(text) : NULL;
}

char *hold_owner(sl_str detail)
{
    json_t *j = hold_read_any(detail);
    char *owner = own(text_in(j, "owner"));

    json_decref(j);
    return owner;
}

/* ---- verdicts ---- */

void hold_verdict_finish(struct hold_verdict *v)
{
    free(v->to);
    free(v->reason);
    free(v->hold_type);
    free(v->detail);
    free(v->body);
    *v = (struct hold_verdict){ 0 };
}

/** What it waited for has come or not: the hold behind it begins. */
static void next_hold(sl_str next, int64_t now_ms, struct hold_verdict *v)
{
    json_t *j = hold_read_any(next);
    int64_t for_ms = json_integer_value(json_object_get(j, "for_ms"));
    const char *type = text_in(j, "hold");

    v->state = DS_HELD;
    v->hold_type = mem_str(type ? type : "approval");
    v->detail = mem_dup(next);
    v->next_ms = for_ms ? now_ms + for_ms : 0;
    v->reason = mem_str("the route holds every delivery");
    json_decref(j);
}

static void release(const struct store_delivery *row, const json_t *says, const char *to,
                    int64_t now_ms, struct hold_verdict *v)
{
    sl_str next = json_object_get(says, "next") ? last_member(row->detail, NEXT) : STR("");

    if (next.len) {
        next_hold(next, now_ms, v);
        return;
    }
    v->state = DS_READY;
    if (!to && !row->endpoint.len)
        to = text_in(says, "to");
    v->to = own(to);
}

/** The row's detail as `says` has it now; its last member, as it was, is still the last. */
static char *written_anew(const struct store_delivery *row, json_t *says)
{
    bool waits = json_object_get(says, "next") != NULL;
    sl_str last = last_member(row->detail, waits ? NEXT : EVIDENCE);
    struct buf b = { 0 };

    json_object_del(says, "next");
    char *head = json_dumps(says, JSON_COMPACT);
    if (!head)
        return NULL; /* no memory: it stays as it was */
    buf_cstr(&b, head);
    free(head);
    if (last.len) {
        b.len--; /* its bracket */
        buf_cstr(&b, waits ? NEXT : EVIDENCE);
        buf_str(&b, last);
        buf_char(&b, '}');
    }
    return buf_steal(&b, NULL);
}

/** The same detail under its new owner. */
static char *escalated(const struct store_delivery *row, json_t *says, const char *to)
{
    if (!says)
        return NULL;
    if (to)
        json_object_set_new(says, "owner", json_string(to));
    json_object_set_new(says, "overdue", json_true());
    return written_anew(row, says);
}

static void escalate(const struct flow *f, const struct store_delivery *row, json_t *says,
                     int64_t now_ms, const char *cannot, struct hold_verdict *v)
{
    int64_t for_ms = json_integer_value(json_object_get(says, "for_ms"));
    int64_t again_ms = f->config->alerts.repeat_ms > for_ms ? f->config->alerts.repeat_ms : for_ms;
    const char *owner = text_in(says, "owner"), *to = text_in(says, "escalate_to");
    struct buf reason = { 0 };
    char text[24];

    buf_cstr(&reason, "overdue");
    if (for_ms)
        buf_printf(&reason, ": nobody decided within %s", hold_duration(for_ms, text));
    if (*cannot)
        buf_printf(&reason, "; it cannot be released by itself: %s", cannot);
    if (to || owner)
        buf_printf(&reason, "; %s decides", to ? to : owner);
    v->state = DS_HELD;
    v->hold_type = mem_dup(row->hold_type);
    v->detail = escalated(row, says, to);
    v->reason = buf_steal(&reason, NULL);
    v->next_ms = now_ms + (again_ms ? again_ms : 1000);
    v->overdue = true;
}

/** "fraud: nobody decided within 2h", "orders/create has not come within 30s" */
static char *late(const struct store_delivery *row, const json_t *says)
{
    int64_t for_ms = json_integer_value(json_object_get(says, "for_ms"));
    const char *topic = json_string_value(json_array_get(json_object_get(says, "until"), 0));
    struct buf b = { 0 };
    char text[24];

    hold_duration(for_ms, text);
    if (topic && str_eq(row->hold_type, STR(HOLD_WAIT_FOR)))
        buf_printf(&b, "%s has not come within %s", topic, text);
    else
        buf_printf(&b, STR_FMT ": nobody decided within %s", STR_ARG(row->hold_type), text);
    return buf_steal(&b, NULL);
}

char *hold_late(const struct store_delivery *row)
{
    json_t *says = hold_read(row);
    char *text = late(row, says);

    json_decref(says);
    return text;
}

void hold_ran_out(const struct flow *f, const struct store_delivery *row, int64_t now_ms,
                  const char *cannot, struct hold_verdict *v)
{
    json_t *says = hold_read(row);
    const char *then = text_in(says, "then");

    *v = (struct hold_verdict){ 0 };
    if (!then || *cannot || !strcmp(then, then_names[HOLD_ESCALATE])) {
        escalate(f, row, says, now_ms, cannot, v);
    } else if (!strcmp(then, then_names[HOLD_REJECT])) {
        v->state = DS_DEAD;
        v->reason = late(row, says);
    } else if (!strcmp(then, then_names[HOLD_LOOKUP])) {
        v->state = DS_HELD;
        v->asks = true;
    } else {
        release(row, says, NULL, now_ms, v);
        if (v->state == DS_READY)
            v->reason = late(row, says);
    }
    json_decref(says);
}

static const json_t *find_choice(const json_t *choices, sl_str name)
{
    for (size_t i = 0; i < json_array_size(choices); i++) {
        const json_t *c = json_array_get(choices, i);
        if (str_eq(name, str_of(text_in(c, "name"))))
            return c;
    }
    return NULL;
}

static void say_choices(const json_t *choices, sl_str name, char text[160])
{
    int n = snprintf(text, 160, "it has no choice \"%.*s\"", (int)(name.len < 40 ? name.len : 40),
                     name.ptr);

    for (size_t i = 0; i < json_array_size(choices) && n < 150; i++)
        n += snprintf(text + n, 160 - (size_t)n, "%s%s",
                      i ? ", " : "; there are: ", text_in(json_array_get(choices, i), "name"));
}

/** "edited: called (zip, city); the body before had SHA-256 ..." */
static char *filled_reason(sl_str why, sl_str names, sl_str body_before)
{
    struct buf b = { 0 };
    char *reason;

    buf_printf(&b, STR_FMT "%s(" STR_FMT ")", STR_ARG(why), why.len ? " " : "", STR_ARG(names));
    reason = edit_reason(buf_view(&b), body_before);
    buf_finish(&b);
    return reason;
}

/** What is filled in goes into the payload, under a new key: not while the old one may have
 *  arrived. */
static int fill_in(const struct store_delivery *row, const json_t *choice,
                   const struct hold_word *word, struct hold_verdict *v, char text[160])
{
    struct buf body = { 0 }, names = { 0 };
    int r = hold_fill(choice, &word->fill, &body, &names, text);

    if (r == 0 && names.len && (r = edit_check(row, false, text)) == 0) {
        v->reason = filled_reason(word->why, buf_view(&names), word->fill.body);
        v->body = buf_steal(&body, &v->body_len);
    }
    buf_finish(&body);
    buf_finish(&names);
    return r;
}

int hold_chosen(const struct store_delivery *row, const struct hold_word *word, int64_t now_ms,
                struct hold_verdict *v, char text[160])
{
    json_t *says = hold_read(row);
    const json_t *choices = json_object_get(says, "choices"), *c = NULL;
    bool does_release = word->release;
    const char *to = NULL;
    int r = 0;

    *v = (struct hold_verdict){ 0 };
    if (word->choice.len && !(c = find_choice(choices, word->choice))) {
        say_choices(choices, word->choice, text);
        r = UV_EINVAL;
    }
    if (r == 0)
        r = fill_in(row, c, word, v, text);
    if (r < 0) {
        json_decref(says);
        return r;
    }
    if (c) {
        does_release = !strcmp(text_in(c, "do"), then_names[HOLD_RELEASE]);
        to = text_in(c, "to");
    }
    if (does_release)
        release(row, says, to, now_ms, v);
    else
        v->state = DS_DEAD;
    if (does_release && c && json_object_get(says, HOLD_ASKED_BY)) {
        json_object_set_new(says, HOLD_ANSWER, json_string(text_in(c, "name")));
        v->detail = written_anew(row, says); /* NULL, without memory: as if none was chosen */
    }
    json_decref(says);
    return 0;
}
