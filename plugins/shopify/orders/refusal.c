/*
 * refusal.c - see refusal.h.
 */
#include "orders/refusal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SHOWN 3

/* of every mutation; an action's own rules stand before them */
static const struct refusal_rule common[] = {
    { "IDEMPOTENCY_CONCURRENT_REQUEST", NULL, REFUSAL_LATER, NULL },
    { "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", NULL, REFUSAL_NEW_KEY, NULL },
    { "IDEMPOTENCY_KEY_PARAMETER_MISMATCH", NULL, REFUSAL_HUMAN,
      "something else was sent under this delivery's key before: look in the shop what it was" },
    /* of payloads without codes, such as refundCreate's */
    { NULL, "previous attempt with this idempotency key", REFUSAL_NEW_KEY, NULL },
    { NULL, "idempotency key", REFUSAL_HUMAN,
      "something was sent under this delivery's key before: look in the shop what it was" },
    { "SERVICE_UNAVAILABLE", NULL, REFUSAL_LATER, NULL },
    { "INTERNAL_ERROR", NULL, REFUSAL_DOUBT, NULL },
    { "OPERATION_IN_PROGRESS", NULL, REFUSAL_LATER, NULL },
    { "LIMIT_REACHED", NULL, REFUSAL_LATER, NULL },
    { 0 },
};

/* a message may carry its code as text: "IDEMPOTENCY_..." in a payload without codes */
static const struct refusal_rule *rule_of(const struct refusal_rule *rules, const char *code,
                                          const char *message)
{
    for (; rules && (rules->code || rules->text); rules++) {
        if (rules->code && strcmp(rules->code, code) != 0 && !strstr(message, rules->code))
            continue;
        if (!rules->text || strcasestr(message, rules->text))
            return rules;
    }
    return NULL;
}

static int gravity(enum refusal meaning)
{
    static const unsigned char of[] = {
        [REFUSAL_NONE] = 0,    [REFUSAL_DONE] = 1,  [REFUSAL_LATER] = 2, [REFUSAL_DOUBT] = 3,
        [REFUSAL_NEW_KEY] = 4, [REFUSAL_STATE] = 5, [REFUSAL_HUMAN] = 6, [REFUSAL_GOOD] = 7,
    };

    return of[meaning];
}

__attribute__((format(printf, 4, 5))) static void add(char *to, size_t size, size_t *at,
                                                      const char *format, ...)
{
    va_list args;
    int n;

    if (*at >= size - 1)
        return;
    va_start(args, format);
    n = vsnprintf(to + *at, size - *at, format, args);
    va_end(args);
    *at += n > 0 ? (size_t)n : 0;
}

/* "returnLineItems.0.quantity: "; the variable's own name says nothing. */
static void add_field(char *to, size_t size, size_t *at, const json_t *field)
{
    size_t n = json_array_size(field), begun = 0;

    for (size_t i = 0; i < n; i++) {
        const char *part = json_string_value(json_array_get(field, i));

        if (i == 0 && n > 1 && part && (!strcmp(part, "input") || !strcmp(part, "returnInput")))
            continue;
        add(to, size, at, "%s%.60s", begun++ ? "." : "", part ? part : "?");
    }
    if (begun)
        add(to, size, at, ": ");
}

static void one_line(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ')
            *text = ' ';
}

enum refusal refusal_of(const json_t *errors, const struct refusal_rule *rules, char *ret_why,
                        size_t size)
{
    enum refusal worst = REFUSAL_NONE;
    const char *advice = NULL;
    size_t at = 0, n = json_array_size(errors);

    ret_why[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(errors, i);
        const char *code = json_string_value(json_object_get(one, "code"));
        const char *message = json_string_value(json_object_get(one, "message"));
        const struct refusal_rule *rule;
        enum refusal meaning;

        code = code ? code : "";
        message = message && *message ? message : *code ? code : "no message";
        rule = rule_of(rules, code, message);
        if (!rule)
            rule = rule_of(common, code, message);
        meaning = rule ? rule->meaning : REFUSAL_GOOD;
        if (gravity(meaning) > gravity(worst)) {
            worst = meaning;
            advice = rule ? rule->advice : NULL;
        }
        if (i >= SHOWN)
            continue;
        add(ret_why, size, &at, "%s", i ? "; " : "");
        add_field(ret_why, size, &at, json_object_get(one, "field"));
        add(ret_why, size, &at, "%.200s", message);
    }
    if (n > SHOWN)
        add(ret_why, size, &at, "; and %zu more", n - SHOWN);
    if (advice)
        add(ret_why, size, &at, " - %s", advice);
    one_line(ret_why);
    return worst;
}
