/* src/tool/table.h: rows of cells, in columns when they are printed. */
#pragma once
#include "base/buf.h"
#include "tool/terminal.h"
#include <stdio.h>
#include <time.h>

/* {.columns = "lrr"}: a letter for each column, whether its text stands left or right. */
struct table {
	const char *columns;
	const char *
		spare; /* for each column '-', or when it may be left out on a narrow terminal: '1' first; NULL: none may */
	struct buf text; /* of all cells, one behind the other */
	struct buf cells; /* struct table_cell */
};

void table_release(struct table *t);

/* The next cell, from left to right and from top to bottom. -ENOMEM. */
int table_text(struct table *t, const char *text);
int table_cell(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The next row: the columns' names, quiet. */
int table_heading(struct table *t, const char *const *names);

/* The next row: TEXT alone, however long it is. */
int table_line(struct table *t, enum colour c, const char *text);

/* Where there are colours the last cell has this one. */
void table_colour(struct table *t, enum colour c);

/* BYTES as a cell: all digits, or HUMAN ones. */
int table_size(struct table *t, uint64_t bytes, bool human);

/* Prints all rows, with two spaces between columns, and none at the end of a line. On a terminal control characters are '?'. */
void table_print(const struct table *t, FILE *to);

/* Prints cells side by side as ls(1) does, going down first, in lines as wide as the terminal; one a line if TO is none. */
void table_print_across(const struct table *t, FILE *to);

/* BYTES as "1.5M", to three digits, as ls -h does; 1,023 and less have no letter. */
enum { HUMAN_SIZE = 8 };
const char *human_size(uint64_t bytes, char out[HUMAN_SIZE]);

/* The local time AT, as "2026-11-27 18:05:09"; empty if it is none. */
enum { TIME_TEXT = 40 };
const char *time_text(const struct timespec *at, char out[TIME_TEXT]);
