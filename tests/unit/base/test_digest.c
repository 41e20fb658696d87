/*
 * test_digest.c - digests and text forms, against published vectors.
 */
#include "../check.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include "base/buf.h"
#include "base/digest.h"

static const char *hex(const uint8_t digest[DIGEST_SHA256])
{
    static char text[2 * DIGEST_SHA256 + 1];

    hex_encode(digest, DIGEST_SHA256, text);
    return text;
}

static const char *mac(struct hmac *h, const char *text)
{
    uint8_t out[DIGEST_SHA256];

    CHECK_EQ(hmac_begin(h), 0);
    hmac_update(h, text, strlen(text));
    hmac_end(h, out);
    return hex(out);
}

static void sha256_matches_fips_180(void **state)
{
    uint8_t out[DIGEST_SHA256];

    (void)state;
    digest_sha256("", 0, out);
    CHECK_STR(hex(out), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    digest_sha256("abc", 3, out);
    CHECK_STR(hex(out), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void sha256_in_pieces_is_that_of_the_whole(void **state)
{
    uint8_t whole[DIGEST_SHA256], pieces[DIGEST_SHA256];
    struct sha256 *h = sha256_create();
    char text[300];

    (void)state;
    memset(text, 'q', sizeof(text));
    digest_sha256(text, sizeof(text), whole);
    for (size_t n = 1; n < sizeof(text); n += 37) {
        sha256_begin(h);
        sha256_update(h, "half a message", 14);
        sha256_begin(h);
        for (size_t at = 0; at < sizeof(text); at += n)
            sha256_update(h, text + at, at + n < sizeof(text) ? n : sizeof(text) - at);
        sha256_end(h, pieces);
        CHECK(memcmp(whole, pieces, sizeof(whole)) == 0);
    }
    sha256_destroy(h);
    sha256_destroy(NULL);
}

static void parts_are_told_apart_by_their_length(void **state)
{
    uint8_t a[DIGEST_SHA256], b[DIGEST_SHA256], whole[DIGEST_SHA256];

    (void)state;
    digest_parts((sl_str[]){ STR("ab"), STR("c") }, 2, a);
    digest_parts((sl_str[]){ STR("a"), STR("bc") }, 2, b);
    assert_memory_not_equal(a, b, DIGEST_SHA256);
    digest_sha256("\2\0\0\0ab\1\0\0\0c", 11, whole);
    assert_memory_equal(a, whole, DIGEST_SHA256);
    digest_parts((sl_str[]){ { 0 } }, 1, a);
    digest_sha256("\0\0\0\0", 4, whole);
    assert_memory_equal(a, whole, DIGEST_SHA256);
    digest_parts(NULL, 0, a);
    digest_sha256(NULL, 0, whole);
    assert_memory_equal(a, whole, DIGEST_SHA256);
}

static void hmac_matches_rfc_4231(void **state)
{
    char key[131];
    struct hmac *h = hmac_create("Jefe", 4);

    (void)state;
    CHECK_STR(mac(h, "what do ya want for nothing?"),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    hmac_destroy(h);
    memset(key, 0x0b, 20);
    h = hmac_create(key, 20);
    CHECK_STR(mac(h, "Hi There"),
              "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    hmac_destroy(h);
    memset(key, 0xaa, 131); /* longer than a block */
    h = hmac_create(key, 131);
    CHECK_STR(mac(h, "Test Using Larger Than Block-Size Key - Hash Key First"),
              "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    hmac_destroy(h);
    hmac_destroy(NULL);
}

static void one_key_serves_many_messages(void **state)
{
    struct hmac *h = hmac_create("Jefe", 4);
    uint8_t out[DIGEST_SHA256];

    (void)state;
    for (int i = 0; i < 3; i++) {
        CHECK_STR(mac(h, "what do ya want for nothing?"),
                  "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        CHECK_EQ(hmac_begin(h), 0);
        hmac_update(h, "a message dropped half way", 10);
    }
    CHECK_EQ(hmac_begin(h), 0);
    hmac_update(h, "what do ya ", 11);
    hmac_update(h, NULL, 0);
    hmac_update(h, "want for nothing?", 17);
    hmac_end(h, out);
    CHECK_STR(hex(out), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    hmac_destroy(h);
}

static void a_fork_has_the_key_and_a_message_of_its_own(void **state)
{
    struct hmac *h = hmac_create("Jefe", 4), *fork;
    uint8_t out[DIGEST_SHA256];

    (void)state;
    CHECK_EQ(hmac_begin(h), 0);
    hmac_update(h, "half of another message", 12);
    fork = hmac_fork(h);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(hmac_begin(fork), 0);
        hmac_update(fork, "what do ya ", 11);
        CHECK_STR(mac(h, "what do ya want for nothing?"),
                  "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        hmac_update(fork, "want for nothing?", 17);
        hmac_end(fork, out);
        CHECK_STR(hex(out), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
    hmac_destroy(h);
    hmac_destroy(fork);
}

static void an_empty_key_is_a_key(void **state)
{
    struct hmac *h = hmac_create(NULL, 0);

    (void)state;
    assert_non_null(h);
    for (int i = 0; i < 2; i++)
        CHECK_STR(mac(h, ""), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
    hmac_destroy(h);
}

static void comparing_looks_at_every_byte(void **state)
{
    uint8_t a[32] = { 0 }, b[32] = { 0 };

    (void)state;
    CHECK(digest_equal(a, 32, b, 32));
    CHECK(!digest_equal(a, 32, b, 31));
    CHECK(digest_equal(NULL, 0, NULL, 0));
    for (int i = 0; i < 32; i++) {
        b[i] = 1;
        CHECK(!digest_equal(a, 32, b, 32));
        b[i] = 0;
    }
}

static void hex_goes_both_ways_and_must_fit(void **state)
{
    uint8_t out[3];
    char text[7];

    (void)state;
    hex_encode("\x00\xaf\xff", 3, text);
    CHECK_STR(text, "00afff");
    CHECK_EQ(hex_decode(STR("00aFfF"), out, 3), 0);
    assert_memory_equal(out, "\x00\xaf\xff", 3);
    CHECK_EQ(hex_decode(STR(""), out, 0), 0);
    CHECK_EQ(hex_decode(STR("00af"), out, 3), UV_EINVAL);
    CHECK_EQ(hex_decode(STR("00afff0"), out, 3), UV_EINVAL);
    CHECK_EQ(hex_decode(STR("00afff00"), out, 3), UV_EINVAL);
    CHECK_EQ(hex_decode(STR("00afgf"), out, 3), UV_EINVAL);
    CHECK_EQ(hex_decode(STR("0x00af"), out, 3), UV_EINVAL);
}

static void base64_matches_rfc_4648(void **state)
{
    static const struct {
        const char *plain, *text, *url;
    } cases[] = { { "", "", "" },
                  { "f", "Zg==", "Zg" },
                  { "fo", "Zm8=", "Zm8" },
                  { "foo", "Zm9v", "Zm9v" },
                  { "foob", "Zm9vYg==", "Zm9vYg" },
                  { "fooba", "Zm9vYmE=", "Zm9vYmE" },
                  { "foobar", "Zm9vYmFy", "Zm9vYmFy" },
                  { "\xfb\xff\xfe", "+//+", "-__-" } };
    char text[16];
    uint8_t out[8];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t n = strlen(cases[i].plain);

        CHECK_EQ(base64_encode(cases[i].plain, n, text), strlen(cases[i].text));
        CHECK_STR(text, cases[i].text);
        CHECK_EQ(base64_decode(str_of(text), out, n), n);
        assert_memory_equal(out, cases[i].plain, n);
        CHECK_EQ(base64url_encode(cases[i].plain, n, text), strlen(cases[i].url));
        CHECK_STR(text, cases[i].url);
    }
}

static void base64_has_one_text_for_one_value(void **state)
{
    static const char *const wrong[] = { "Zg",    "Zg=",      "Z===", "====",         "=",
                                         "Zm9vY", "Zg==Zg==", "Zm=v", "Zm9v\n",       "Zm 9v",
                                         "Zh==",  "Zm9=",     "-__-", "Zg==\n\n\n\n", "Zm9\x80" };
    uint8_t out[16];

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (base64_decode(str_of(wrong[i]), out, sizeof(out)) != UV_EINVAL)
            fail_msg("accepted: %s", wrong[i]);
    CHECK_EQ(base64_decode(STR("Zm9v"), out, 2), UV_ENOBUFS);
    CHECK_EQ(base64_decode(STR("Zm8="), out, 2), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_matches_fips_180),
        cmocka_unit_test(sha256_in_pieces_is_that_of_the_whole),
        cmocka_unit_test(parts_are_told_apart_by_their_length),
        cmocka_unit_test(hmac_matches_rfc_4231),
        cmocka_unit_test(one_key_serves_many_messages),
        cmocka_unit_test(a_fork_has_the_key_and_a_message_of_its_own),
        cmocka_unit_test(an_empty_key_is_a_key),
        cmocka_unit_test(comparing_looks_at_every_byte),
        cmocka_unit_test(hex_goes_both_ways_and_must_fit),
        cmocka_unit_test(base64_matches_rfc_4648),
        cmocka_unit_test(base64_has_one_text_for_one_value),
    };

    return cmocka_run_group_tests_name("base/digest", tests, NULL, NULL);
}
