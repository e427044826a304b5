/* One hash of bytes for a group of tests. */
#ifndef QUOIT_TESTS_SUPPORT_HASH_FIXTURE_H
#define QUOIT_TESTS_SUPPORT_HASH_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include "backends/hash.h"

/* For a group's set-up: text as a command line has it. 0 or a negative errno. */
int hash_fixture_open(const char *text);
/* A group's tear-down. */
int hash_fixture_close(void **state);

/* The open one, and its hash of bytes. */
struct hash hash_fixture(void);
uint64_t hash_of(const void *bytes, size_t n, uint64_t seed);

/* The value under another choice of options. */
uint64_t hash_of_choice(const char *text, const void *bytes, size_t n, uint64_t seed);

/* Tests that several have: of those made by HASH_FROM_BYTES. */
void a_number_is_hashed_as_its_little_endian_bytes(void **state);

#endif
