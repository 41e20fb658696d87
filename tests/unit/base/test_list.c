/*
 * test_list.c - the intrusive list.
 */
#include "../check.h"

#include "base/list.h"

struct item {
    int n;
    struct list node;
};

/* The numbers of a list as one decimal number, from both directions. */
static int forward(struct list *head)
{
    int all = 0;

    list_each (pos, head)
        all = all * 10 + list_entry(pos, struct item, node)->n;
    return all;
}

static int backward(struct list *head)
{
    int all = 0;

    for (struct list *pos = head->prev; pos != head; pos = pos->prev)
        all = all * 10 + list_entry(pos, struct item, node)->n;
    return all;
}

static void items_keep_the_order_of_append_and_prepend(void **state)
{
    struct list head = LIST_INIT(head);
    struct item a = { .n = 1 }, b = { .n = 2 }, c = { .n = 3 };

    (void)state;
    CHECK(list_empty(&head));
    assert_null(list_first(&head));
    list_append(&head, &b.node);
    list_append(&head, &c.node);
    list_prepend(&head, &a.node);
    CHECK_EQ(forward(&head), 123);
    CHECK_EQ(backward(&head), 321);
    assert_ptr_equal(list_first(&head), &a.node);
}

static void a_removed_node_can_be_removed_again(void **state)
{
    struct list head;
    struct item a = { .n = 1 }, b = { .n = 2 };

    (void)state;
    list_init(&head);
    list_append(&head, &a.node);
    list_append(&head, &b.node);
    list_remove(&a.node);
    list_remove(&a.node);
    CHECK_EQ(forward(&head), 2);
    CHECK_EQ(backward(&head), 2);
    list_remove(&b.node);
    CHECK(list_empty(&head));
}

static void splice_moves_all_and_leaves_nothing(void **state)
{
    struct list to = LIST_INIT(to), from = LIST_INIT(from);
    struct item a = { .n = 1 }, b = { .n = 2 }, c = { .n = 3 };

    (void)state;
    list_append(&to, &a.node);
    list_splice(&to, &from);
    CHECK_EQ(forward(&to), 1);
    list_append(&from, &b.node);
    list_append(&from, &c.node);
    list_splice(&to, &from);
    CHECK_EQ(forward(&to), 123);
    CHECK_EQ(backward(&to), 321);
    CHECK(list_empty(&from));
}

static void the_safe_walk_allows_unlinking_the_current_node(void **state)
{
    struct list head = LIST_INIT(head);
    struct item items[4];

    (void)state;
    for (int i = 0; i < 4; i++) {
        items[i].n = i + 1;
        list_append(&head, &items[i].node);
    }
    list_each_safe (pos, tmp, &head)
        if (list_entry(pos, struct item, node)->n % 2 == 0)
            list_remove(pos);
    CHECK_EQ(forward(&head), 13);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_keep_the_order_of_append_and_prepend),
        cmocka_unit_test(a_removed_node_can_be_removed_again),
        cmocka_unit_test(splice_moves_all_and_leaves_nothing),
        cmocka_unit_test(the_safe_walk_allows_unlinking_the_current_node),
    };

    return cmocka_run_group_tests_name("base/list", tests, NULL, NULL);
}
