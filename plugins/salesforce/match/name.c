/*
 * name.c - names of people: how they are written for comparing, and what two have in common.
 */
#include <string.h>

#include "normalise.h"
#include "words.h"

#define MAX_TEXT 64 /* of what distances are counted */

static bool list_has(const char *const *list, sl_str s)
{
    for (; *list; list++)
        if (str_is(s, *list))
            return true;
    return false;
}

static int suffix_of(sl_str word)
{
    if (str_is(word, "jr") || str_is(word, "jun") || str_is(word, "junior") || str_is(word, "ii") ||
        str_is(word, "iii"))
        return SUFFIX_JUNIOR;
    return str_is(word, "sr") || str_is(word, "sen") || str_is(word, "senior") ? SUFFIX_SENIOR
                                                                               : SUFFIX_NONE;
}

/* Jürgen is folded as jurgen, and Juergen meets it there. Done again it changes nothing: what the
 * index has is normalised anew when more becomes known. */
static void simplify(sl_str word, struct text *to)
{
    bool umlaut = false; /* an a, o or u stands before it: an e is its second dot */

    text_clear(to);
    for (size_t i = 0; i < word.len; i++) {
        char c = word.ptr[i];

        if (c == '\'' || (umlaut && c == 'e'))
            continue;
        text_char(to, c);
        umlaut = c == 'a' || c == 'o' || c == 'u';
    }
}

void name_normalise(sl_str in, struct text *to, int *suffix)
{
    struct text folded = { 0 }, word = { 0 };
    size_t start = to->len, n;

    fold(in, &folded);
    for (size_t i = 0; i < folded.len; i += n) {
        n = strcspn(folded.ptr + i, " .,-_/()\t");
        if (n == 0) {
            n = 1;
            continue;
        }
        simplify((sl_str){ folded.ptr + i, n }, &word);
        if (suffix_of(text_view(&word)) != SUFFIX_NONE) {
            *suffix = suffix_of(text_view(&word));
        } else if (word.len > 0 && !list_has(words_title, text_view(&word))) {
            if (to->len > start)
                text_char(to, ' ');
            text_add(to, word.ptr, word.len);
        }
    }
    text_finish(&folded);
    text_finish(&word);
}

sl_str name_of_nickname(sl_str word)
{
    for (const struct nickname *n = words_nickname; n->shorter; n++)
        if (str_is(word, n->shorter))
            return str_of(n->name);
    return word;
}

/* ---- comparing ----------------------------------------------------------------------------- */

/* Optimal string alignment, three rows. */
unsigned text_distance(sl_str a, sl_str b, unsigned most)
{
    uint8_t rows[3][MAX_TEXT + 1];
    uint8_t *before = rows[0], *last = rows[1], *now = rows[2];

    if (a.len > MAX_TEXT || b.len > MAX_TEXT || a.len > b.len + most || b.len > a.len + most)
        return most + 1;
    for (size_t k = 0; k <= b.len; k++)
        last[k] = (uint8_t)k;
    for (size_t i = 1; i <= a.len; i++) {
        uint8_t *spare = before, best;

        now[0] = best = (uint8_t)i;
        for (size_t k = 1; k <= b.len; k++) {
            unsigned d = last[k - 1] + (a.ptr[i - 1] != b.ptr[k - 1]);

            if (last[k] + 1u < d)
                d = last[k] + 1u;
            if (now[k - 1] + 1u < d)
                d = now[k - 1] + 1u;
            if (i > 1 && k > 1 && a.ptr[i - 1] == b.ptr[k - 2] && a.ptr[i - 2] == b.ptr[k - 1] &&
                before[k - 2] + 1u < d)
                d = before[k - 2] + 1u;
            now[k] = (uint8_t)d;
            if (d < best)
                best = (uint8_t)d;
        }
        if (best > most)
            return most + 1;
        before = last;
        last = now;
        now = spare;
    }
    return last[b.len];
}

enum part { PART_OTHER, PART_TYPO, PART_INITIAL, PART_VARIANT, PART_SAME };

static bool same(sl_str a, sl_str b)
{
    return a.len == b.len && memcmp(a.ptr, b.ptr, a.len) == 0;
}

static sl_str first_word(sl_str s)
{
    const char *blank = s.len > 0 ? memchr(s.ptr, ' ', s.len) : NULL;

    return blank ? (sl_str){ s.ptr, (size_t)(blank - s.ptr) } : s;
}

/* Are all words of the shorter in the longer: "anna" in "anna maria"? */
static bool contains_words(sl_str whole, sl_str words)
{
    while (words.len > 0) {
        sl_str word = first_word(words), rest = whole;
        bool found = false;

        while (rest.len > 0 && !found) {
            sl_str w = first_word(rest);

            found = same(w, word) && word.len > 1;
            rest = (sl_str){ w.ptr + w.len, rest.len - w.len };
            if (rest.len > 0)
                rest = (sl_str){ rest.ptr + 1, rest.len - 1 };
        }
        if (!found)
            return false;
        words = (sl_str){ word.ptr + word.len, words.len - word.len };
        if (words.len > 0)
            words = (sl_str){ words.ptr + 1, words.len - 1 };
    }
    return true;
}

static bool is_typo(sl_str a, sl_str b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    unsigned most = shorter >= 8 ? 2 : shorter >= 4 ? 1 : 0;

    return most > 0 && text_distance(a, b, most) <= most;
}

static enum part compare_part(sl_str a, sl_str b, bool first)
{
    sl_str wa = first_word(a), wb = first_word(b);

    if (same(a, b))
        return PART_SAME;
    if (first && same(name_of_nickname(wa), name_of_nickname(wb)))
        return PART_VARIANT;
    if (a.len < b.len ? contains_words(b, a) : contains_words(a, b))
        return PART_VARIANT;
    if (first && (wa.len == 1 || wb.len == 1) && wa.ptr[0] == wb.ptr[0])
        return PART_INITIAL;
    return is_typo(a, b) ? PART_TYPO : PART_OTHER;
}

static enum name_relation relation_of(enum part first, enum part last)
{
    if (first == PART_OTHER && last == PART_OTHER)
        return NAME_CONFLICT;
    if (first == PART_OTHER)
        return last == PART_TYPO ? NAME_CONFLICT : NAME_FIRST_CONFLICT;
    if (last == PART_OTHER)
        return first == PART_SAME || first == PART_VARIANT ? NAME_LAST_CONFLICT : NAME_CONFLICT;
    if (first == PART_TYPO || last == PART_TYPO)
        return first == PART_INITIAL ? NAME_LAST_CONFLICT : NAME_TYPO;
    if (first == PART_INITIAL)
        return NAME_INITIAL;
    return first == PART_SAME && last == PART_SAME ? NAME_EXACT : NAME_VARIANT;
}

enum name_relation name_compare(const struct name *a, const struct name *b)
{
    enum name_relation r;
    enum part last;

    if (a->last.len == 0 || b->last.len == 0)
        return NAME_MISSING;
    if (a->suffix && b->suffix && a->suffix != b->suffix)
        return NAME_FIRST_CONFLICT;
    last = compare_part(a->last, b->last, false);
    if (a->first.len == 0 || b->first.len == 0)
        return last == PART_OTHER ? NAME_CONFLICT : NAME_LAST_ONLY;
    r = relation_of(compare_part(a->first, b->first, true), last);
    if (r <= NAME_LAST_CONFLICT && same(a->first, b->last) && same(a->last, b->first))
        r = NAME_VARIANT;
    /* father or son: one of them says which */
    return r > NAME_TYPO && a->suffix != b->suffix ? NAME_TYPO : r;
}
