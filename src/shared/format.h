/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Figures as users read them. */

#define FORMAT_BYTES_MAX 16U
/* "0 B", "412 B", "1.0 KiB", "66.2 MiB", "1.5 TiB": IEC units, one decimal above bytes. Returns @buf. */
char *format_bytes(char buf[FORMAT_BYTES_MAX], uint64_t bytes);
#define FORMAT_BYTES(bytes) format_bytes((char[FORMAT_BYTES_MAX]){ 0 }, (bytes))

#define FORMAT_SIZE_MAX 8U
/* The same in little room: "0", "412", "1.0K", "66.2M", "1.5T". Returns @buf. */
char *format_size(char buf[FORMAT_SIZE_MAX], uint64_t bytes);
#define FORMAT_SIZE(bytes) format_size((char[FORMAT_SIZE_MAX]){ 0 }, (bytes))

#define FORMAT_SPAN_MAX 32U
/* "850us", "12ms", "3.4s", "2min 5s", "1h 10min". Returns @buf. */
char *format_span(char buf[FORMAT_SPAN_MAX], uint64_t usec);
#define FORMAT_SPAN(usec) format_span((char[FORMAT_SPAN_MAX]){ 0 }, (usec))

/* How many bytes the character at @s takes, 0 if they are no printable UTF-8: controls, marks that
 * reorder or hide their neighbours, invalid sequences, the end of the string. */
size_t text_printable(const char *s);

/* A new string in which bytes that are not printable UTF-8 are written \xNN, and "\" as "\\", so
 * that no name of a process or file can play with a terminal or a parser. NULL: out of memory. */
char *escape_text(const char *s);

/* The same for D-Bus, which takes only UTF-8: a text that is printable as it is stays as it is. */
char *bus_text(const char *s);
