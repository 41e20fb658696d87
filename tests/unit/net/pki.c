/*
 * pki.c - see pki.h.
 */
#include "pki.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MUST(x)      \
    do {             \
        if (!(x))    \
            abort(); \
    } while (0)

static void extend(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *e;

    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    MUST(e && X509_add_ext(x, e, -1));
    X509_EXTENSION_free(e);
}

static X509 *make(struct pki *p, const struct cert *cert, int is_ca)
{
    static long serial = 1;
    X509 *x = X509_new();
    X509_NAME *name = X509_get_subject_name(x);
    X509 *issuer = is_ca || cert->self_signed ? x : p->ca;

    MUST(X509_set_version(x, 2) && ASN1_INTEGER_set(X509_get_serialNumber(x), serial++));
    X509_gmtime_adj(X509_getm_notBefore(x), cert->from_s);
    X509_gmtime_adj(X509_getm_notAfter(x), cert->to_s);
    MUST(X509_set_pubkey(x, p->key));
    MUST(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)cert->cn, -1,
                                    -1, 0));
    MUST(X509_set_issuer_name(x, X509_get_subject_name(issuer)));
    extend(x, issuer, NID_basic_constraints, is_ca ? "critical,CA:TRUE" : "CA:FALSE");
    if (cert->san)
        extend(x, issuer, NID_subject_alt_name, cert->san);
    MUST(X509_sign(x, p->key, EVP_sha256()));
    return x;
}

void pki_open(struct pki *p)
{
    struct cert root = { .cn = "Test Root", .from_s = -3600, .to_s = 86400 };
    FILE *f;
    int fd;

    p->key = EVP_EC_gen("P-256");
    MUST(p->key);
    p->ca = make(p, &root, 1);
    snprintf(p->ca_file, sizeof(p->ca_file), "/tmp/sluice-test-ca-XXXXXX");
    fd = mkstemp(p->ca_file);
    MUST(fd >= 0 && (f = fdopen(fd, "w")));
    MUST(PEM_write_X509(f, p->ca));
    fclose(f);
}

void pki_close(struct pki *p)
{
    unlink(p->ca_file);
    X509_free(p->ca);
    EVP_PKEY_free(p->key);
}

SSL_CTX *pki_server(struct pki *p, const struct cert *cert)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    X509 *x = make(p, cert, 0);

    MUST(SSL_CTX_use_certificate(ctx, x) && SSL_CTX_use_PrivateKey(ctx, p->key));
    X509_free(x);
    return ctx;
}
