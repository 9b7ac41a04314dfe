/* src/base/glob.h: does a name match one of several globs?
 *
 * GLOBS have ':' between them. In a glob
 *
 *     *        stands for any characters but '/'
 *     **       for any characters; "**" and '/', at the start or behind a '/', for any folders, or none
 *     ?        for one character but '/'
 *     [a-z_]   for one of these; [!a-z] and [^a-z]: for another one; '/' is neither
 *
 * and all else for itself, also a '[' without a ']'. A character is one of UTF-8; what is not UTF-8 is taken byte by byte. */
#pragma once
#include "base/bytes.h"

bool globs_match(const char *globs, struct bytes name);
