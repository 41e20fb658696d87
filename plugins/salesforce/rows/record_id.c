/*
 * record_id.c - 15 characters to 18; see record_id.h.
 */
#include "record_id.h"

#include <string.h>

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool record_id(sl_str id, char ret[RECORD_ID_SIZE])
{
    static const char names[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
    char whole[RECORD_ID_SIZE] = { 0 };

    if (id.len != 15 && id.len != 18)
        return false;
    for (size_t i = 0; i < id.len; i++)
        if (!is_alnum(id.ptr[i]))
            return false;
    memcpy(whole, id.ptr, 15);
    for (int group = 0; group < 3; group++) {
        unsigned bits = 0;

        for (int k = 0; k < 5; k++) {
            char c = whole[group * 5 + k];
            if (c >= 'A' && c <= 'Z')
                bits |= 1u << k;
        }
        whole[15 + group] = names[bits];
    }
    /* an 18 whose case was lost on its way names another record, or none */
    if (id.len == 18 && memcmp(whole + 15, id.ptr + 15, 3) != 0)
        return false;
    memcpy(ret, whole, sizeof(whole));
    return true;
}
