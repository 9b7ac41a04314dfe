/* src/tool/terminal.h: a terminal's width and colours. Only this file knows escape sequences. */
#pragma once
#include "base/bytes.h"
#include <stdbool.h>
#include <stdio.h>

/* The columns of a terminal that FD is, from $COLUMNS or the terminal itself; 0: it is none. */
unsigned terminal_width(int fd);

/* Prints TEXT. On a terminal control characters are '?', except those of KEEP: what comes from files must not control it. */
void terminal_put(struct bytes text, const char *keep, FILE *to);

enum colour {
	COLOUR_NONE,
	COLOUR_ADDED,
	COLOUR_REMOVED,
	COLOUR_CHANGED,
	COLOUR_BAD, /* damaged; not a number */
	COLOUR_FOLDER, /* what has something in it: a directory, a step, a scope */
	COLOUR_LINK,
	COLOUR_QUIET, /* what matters less: headings */
};

/* Is TO a terminal that shows colours, and does $NO_COLOR not forbid them? */
bool colours_wanted(FILE *to);

/* Sends TO what begins and ends a text of this colour; nothing for COLOUR_NONE. */
void colour_begin(enum colour c, FILE *to);
void colour_end(enum colour c, FILE *to);
