/*
 * requests.h - signed webhooks without end from one template, each with ids of its own.
 *
 * The template is a whole HTTP/1.1 request with marks in it: the order's number (MARK_ORDER, at
 * most ORDERS_MOST times in the body), the signature, the webhook's and the event's id (once each
 * in the head). Signatures are made before (`requests_sign`), so that a load generator only writes
 * 44 bytes of them into a request; the ids follow from the request's number.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SIGNATURE_BYTES 44 /* base64 of 32 bytes */

struct requests;

/** NULL with a line on stderr: not readable, or the marks are not as said. */
struct requests *requests_open(const char *template_file);
void requests_close(struct requests *r);

/** Sign the bodies 0 ... count - 1 into a file. 0, or -1 with a line on stderr. */
int requests_sign(struct requests *r, const char *secret, uint64_t count, const char *file);
/** Use the signatures of a file. How many there are, or -1 with a line on stderr. */
int64_t requests_use(struct requests *r, const char *file);

/** Bytes of every request. */
size_t requests_bytes(const struct requests *r);
/** A new buffer (free()) with the template in it, or NULL; then each request is written over the
 * one before. */
char *requests_buffer(const struct requests *r);
void requests_write(const struct requests *r, uint64_t number, char *buffer);
