/*
 * test_alerts.c - the names by which routes take alerts are those that alerts are told by.
 */
#include "../check.h"

#include <stdio.h>
#include <string.h>
#include "config/config.h"
#include "flow/flow.h"

/* The end of one that stands is told under its own name. */
static bool is_end(int kind)
{
    return kind == NOTICE_BREAKER_CLOSED || kind == NOTICE_UNPARKED || kind == NOTICE_ROUTE_RESUMED;
}

static bool has_topic(const char *name)
{
    char topic[64];

    snprintf(topic, sizeof(topic), CONFIG_ALERT "%s", name);
    for (size_t i = 0; alert_topics[i]; i++)
        if (strcmp(alert_topics[i], topic) == 0)
            return true;
    return false;
}

static void every_alert_has_a_topic_and_every_topic_an_alert(void **state)
{
    size_t topics = 0, told = 0;

    (void)state;
    while (alert_topics[topics])
        topics++;
    for (int k = 0; k < NOTICE__COUNT; k++) {
        if (is_end(k))
            continue;
        told++;
        if (!has_topic(notice_names[k]))
            fail_msg("no topic for %s", notice_names[k]);
    }
    CHECK_EQ(topics, told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_alert_has_a_topic_and_every_topic_an_alert),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
