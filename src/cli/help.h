/* src/cli/help.h: examples of the verbs of ckptfs, and the verb that was meant. */
#pragma once

/* Lines that show what VERB is used for. NULL: there are none of it. */
const char *help_examples(const char *verb);

/* How many letters have to be put in, left out, changed or swapped with the next to make B of A; the words of a command line. */
unsigned help_distance(const char *a, const char *b);
