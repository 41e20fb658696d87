/*
 * pki.h - a certificate authority for tests, and servers with good and bad certificates.
 */
#pragma once

#include <openssl/ssl.h>

struct pki {
    EVP_PKEY *key; /* one for all: keys are slow to make */
    X509 *ca;
    char ca_file[64];
};

struct cert {
    const char *san; /* "DNS:localhost,IP:127.0.0.1"; NULL: none */
    const char *cn;
    long from_s, to_s; /* from now */
    int self_signed;
};

void pki_open(struct pki *p);
void pki_close(struct pki *p);
/** A server context; SSL_CTX_free() it. */
SSL_CTX *pki_server(struct pki *p, const struct cert *cert);
