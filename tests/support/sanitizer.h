/* Whether this is a build of one of clang's or gcc's sanitizers: slower, and with an allocator of
 * its own. */
#ifndef QUOIT_TESTS_SUPPORT_SANITIZER_H
#define QUOIT_TESTS_SUPPORT_SANITIZER_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNDER_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define UNDER_SANITIZER 1
#endif
#endif
#ifndef UNDER_SANITIZER
#define UNDER_SANITIZER 0
#endif

#endif
