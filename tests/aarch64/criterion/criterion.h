/*
 * As much of Criterion as the unit tests use, for where it cannot be had: its processes cannot be
 * started under an emulator. Each test is forked; what fails is told, and ends it.
 */
#ifndef SHOAL_TESTS_CRITERION_H
#define SHOAL_TESTS_CRITERION_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct cr_test {
    double timeout;
    int sentinel_;
    void (*init)(void), (*fini)(void);
    const char *suite, *name;
    void (*body)(void);
    struct cr_test *next;
};

void cr_register(struct cr_test *test);

__attribute__((format(printf, 5, 6))) void cr_failed(bool ends, const char *file, int line,
                                                     const char *what, const char *format, ...);

#define CR_EXPAND(text) text
#define CR_TEST_BASE(suite_, name_, ...)                                       \
    static void suite_##_##name_##_run(void);                                  \
    __attribute__((constructor)) static void suite_##_##name_##_register(void) \
    {                                                                          \
        static struct cr_test test = { __VA_ARGS__ };                          \
        test.suite = #suite_;                                                  \
        test.name = #name_;                                                    \
        test.body = suite_##_##name_##_run;                                    \
        cr_register(&test);                                                    \
    }                                                                          \
    static void suite_##_##name_##_run(void)

#define Test(suite, ...) CR_EXPAND(CR_TEST_BASE(suite, __VA_ARGS__, .sentinel_ = 0))
#define TestSuite(suite, ...) _Static_assert(1, #suite)

#define CR_CHECK(ends, condition, what, ...) \
    ((condition) ? (void)0 : cr_failed(ends, __FILE__, __LINE__, what, " " __VA_ARGS__))
#define CR_COMPARE(ends, a, operator, b, ...) \
    CR_CHECK(ends, (a) operator(b), #a " " #operator" " #b, __VA_ARGS__)

#define cr_assert(condition, ...) CR_CHECK(true, condition, #condition, __VA_ARGS__)
#define cr_assert_not(condition, ...) CR_CHECK(true, !(condition), "not " #condition, __VA_ARGS__)
#define cr_assert_null(a, ...) CR_COMPARE(true, a, ==, NULL, __VA_ARGS__)
#define cr_assert_not_null(a, ...) CR_COMPARE(true, a, !=, NULL, __VA_ARGS__)
#define cr_assert_eq(a, b, ...) CR_COMPARE(true, a, ==, b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...) CR_COMPARE(true, a, !=, b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...) CR_COMPARE(true, a, <, b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...) CR_COMPARE(true, a, <=, b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...) CR_COMPARE(true, a, >, b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...) CR_COMPARE(true, a, >=, b, __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) CR_COMPARE(true, strcmp(a, b), ==, 0, __VA_ARGS__)
#define cr_assert_str_neq(a, b, ...) CR_COMPARE(true, strcmp(a, b), !=, 0, __VA_ARGS__)
#define cr_assert_fail(...) CR_CHECK(true, false, "it fails", __VA_ARGS__)
#define cr_expect_eq(a, b, ...) CR_COMPARE(false, a, ==, b, __VA_ARGS__)
#define cr_expect_neq(a, b, ...) CR_COMPARE(false, a, !=, b, __VA_ARGS__)
#define cr_expect_not(condition, ...) CR_CHECK(false, !(condition), "not " #condition, __VA_ARGS__)

#endif
