/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* A program whose memory tests merge. It does what the lines on its standard input say and answers
 * each with one line, "ok ..." or "bad ...". It is built without sanitizers, whose shadow memory
 * would be most of what there is to look at. */

#define TARGET_PAGE 4096U

/* Page @index of stream @seed: bytes that no other page has. Seed 0: zeros. */
void stream_fill(unsigned char *page, uint64_t seed, uint64_t index);

/* One command and its arguments. Writes the answer, without its newline, to @answer. Returns 1 if
 * the command is known, else 0. */
#define ANSWER_MAX 512U
int areas_command(const char *line, char answer[ANSWER_MAX]);
int threads_command(const char *line, char answer[ANSWER_MAX]);
int states_command(const char *line, char answer[ANSWER_MAX]);
/* What only begins once the answer is out may begin. */
void states_answered(void);

/* "" or what is wrong with the contents of all areas and the library. */
void areas_verify(char answer[ANSWER_MAX]);
