/*
 * keys.c - external ids: read, sorted, found.
 */
#include "keys.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "record_id.h"

#define MAX_KEY 255 /* characters of an external id field; longer ones would not be found again */

static bool is_whole_number(sl_str s)
{
    size_t sign = s.len > 0 && s.ptr[0] == '-';

    for (size_t i = sign; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    return s.len > sign;
}

/* What stands behind `start` as an id of 18 characters; false: it is none. */
static bool complete_id(struct text *to, size_t start)
{
    char id[RECORD_ID_SIZE];

    if (!record_id((sl_str){ to->ptr + start, to->len - start }, id))
        return false;
    to->len = start;
    text_str(to, id);
    return true;
}

/* What Salesforce would not give back as it was sent, so that its row was not found again. NULL:
 * nothing. */
static const char *wrong_in_key(sl_str key)
{
    size_t units = 0, blanks = 0;

    for (size_t i = 0; i < key.len; i++) {
        uint8_t c = (uint8_t)key.ptr[i];

        if (c < 0x20 || c == 0x7f)
            return "holds a line break or another control character: take it out in the route's "
                   "map";
        units += (c & 0xc0) != 0x80;
        units += c >= 0xf0; /* a pair of UTF-16 units, as Salesforce counts */
        blanks += c == ' ';
    }
    if (units > MAX_KEY)
        return "is longer than 255 characters, the most that such a field takes";
    return blanks == key.len ? "is nothing but blanks" : NULL;
}

sl_status key_of(const struct row *row, const char *external_id, struct text *to, char *why,
                 size_t why_size)
{
    const struct cell *cell = NULL;
    const char *wrong;
    size_t start = to->len;

    for (size_t i = 0; i < row->n && !cell; i++)
        if (row->cells[i].sub.len == 0 && str_is_nocase(row->cells[i].name, external_id))
            cell = &row->cells[i];
    if (!cell || cell->kind == CELL_NULL || cell->raw.len == 0) {
        say(why, why_size, "the external id %s is %s", external_id,
            !cell                     ? "not in the record: let the route's map set it"
            : cell->kind == CELL_NULL ? "null"
                                      : "empty");
        return SL_E_INVALID;
    }
    if (cell->kind == CELL_BOOL || (cell->kind == CELL_NUMBER && !is_whole_number(cell->raw))) {
        say(why, why_size, "the external id %s is %.*s; it must be text or a whole number",
            external_id, (int)(cell->raw.len < 40 ? cell->raw.len : 40), cell->raw.ptr);
        return SL_E_INVALID;
    }
    cell_decode(cell, to);
    if (to->failed) {
        say(why, why_size, "out of memory");
        return SL_E_NO_MEMORY;
    }
    wrong = wrong_in_key((sl_str){ to->ptr + start, to->len - start });
    if (wrong) {
        say(why, why_size, "the external id %s %s", external_id, wrong);
        to->len = start;
        return SL_E_INVALID;
    }
    if (str_is_nocase(str_of(external_id), "Id") && !complete_id(to, start)) {
        say(why, why_size,
            "Id: \"%.*s\" is no id of Salesforce; it has 15 or 18 letters and digits",
            (int)(to->len - start < 40 ? to->len - start : 40), to->ptr + start);
        to->len = start;
        return SL_E_INVALID;
    }
    for (size_t i = start; i < to->len; i++)
        to->ptr[i] = ascii_lower(to->ptr[i]);
    return SL_OK;
}

/* ---- the list ------------------------------------------------------------------------------ */

void keys_finish(struct keys *k)
{
    text_finish(&k->text);
    free(k->items);
    *k = (struct keys){ 0 };
}

sl_status keys_add(struct keys *k, size_t at, uint32_t record)
{
    if (k->n == k->cap) {
        size_t cap = k->cap ? k->cap * 2 : 64;
        struct key *items = realloc(k->items, cap * sizeof(*items));

        if (!items)
            return SL_E_NO_MEMORY;
        k->items = items;
        k->cap = cap;
    }
    k->items[k->n++] = (struct key){ at, k->text.len - at, record };
    return SL_OK;
}

static int compare(sl_str a, sl_str b)
{
    int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static sl_str view(const struct keys *k, const struct key *key)
{
    return (sl_str){ k->text.ptr + key->at, key->len };
}

static int by_key(const void *a, const void *b, void *ctx)
{
    const struct key *x = a, *y = b;
    int order = compare(view(ctx, x), view(ctx, y));

    return order != 0 ? order : (x->record > y->record) - (x->record < y->record);
}

void keys_sort(struct keys *k)
{
    if (k->n > 1)
        qsort_r(k->items, k->n, sizeof(*k->items), by_key, k);
}

bool keys_repeats(const struct keys *k, size_t i)
{
    return i > 0 && compare(view(k, &k->items[i - 1]), view(k, &k->items[i])) == 0;
}

static sl_status find(const struct keys *k, sl_str value, uint32_t *ret_record)
{
    size_t low = 0, high = k->n;

    while (low < high) { /* the first that is not less: the one that was not a repetition */
        size_t mid = low + (high - low) / 2;

        if (compare(view(k, &k->items[mid]), value) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == k->n || compare(view(k, &k->items[low]), value) != 0)
        return SL_E_NOT_FOUND;
    *ret_record = k->items[low].record;
    return SL_OK;
}

/* A whole number in Java's spelling of a double, "9.12260031E8" or "7001.0", as plain digits. */
static bool digits_of_double(sl_str v, char ret[64], size_t *ret_len)
{
    char digits[40];
    size_t n = 0, out = 0, i = v.len > 0 && v.ptr[0] == '-', point = SIZE_MAX, whole;
    unsigned exponent = 0;

    if (i == 1)
        ret[out++] = '-';
    for (; i < v.len && n < sizeof(digits); i++) {
        if (v.ptr[i] == '.' && point == SIZE_MAX)
            point = n;
        else if (v.ptr[i] >= '0' && v.ptr[i] <= '9')
            digits[n++] = v.ptr[i];
        else
            break;
    }
    if (point == SIZE_MAX || n == 0)
        return false;
    if (i < v.len && ascii_lower(v.ptr[i]) == 'e') {
        if (++i == v.len)
            return false;
        for (; i < v.len && v.ptr[i] >= '0' && v.ptr[i] <= '9' && exponent < 100; i++)
            exponent = exponent * 10 + (unsigned)(v.ptr[i] - '0');
    }
    whole = point + exponent;
    if (i != v.len || whole == 0 || whole > sizeof(digits))
        return false;
    for (size_t d = whole; d < n; d++)
        if (digits[d] != '0')
            return false;
    for (size_t d = 0; d < whole; d++)
        ret[out++] = d < n ? digits[d] : '0';
    *ret_len = out;
    return true;
}

sl_status keys_find(const struct keys *k, sl_str value, uint32_t *ret_record)
{
    char folded[MAX_KEY * 4], digits[64], id[RECORD_ID_SIZE];
    size_t n;

    if (k->are_ids && record_id(value, id))
        value = str_of(id);
    if (value.len > sizeof(folded))
        return SL_E_NOT_FOUND;
    for (size_t i = 0; i < value.len; i++)
        folded[i] = ascii_lower(value.ptr[i]);
    if (find(k, (sl_str){ folded, value.len }, ret_record) == SL_OK)
        return SL_OK;
    if (digits_of_double(value, digits, &n))
        return find(k, (sl_str){ digits, n }, ret_record);
    return SL_E_NOT_FOUND;
}
