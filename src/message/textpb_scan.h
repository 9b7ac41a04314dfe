/* src/message/textpb_scan.h: a text proto as tokens, and the values that tokens stand for.
 *
 * The scanner knows no message. It always has one token: the first one after scan_start and scan_next, which later
 * calls look at, or read and pass. Unless stated otherwise, a call returns 0 or a negative errno; -EINVAL comes with a
 * sentence that has the token's line and column. */
#pragma once
#include "base/buf.h"
#include "base/error.h"

enum token { TOKEN_END, TOKEN_WORD, TOKEN_NUMBER, TOKEN_STRING, TOKEN_SIGN };

enum { SCAN_NAME = 128 }; /* room for a name and its NUL */

struct scan {
	const uint8_t *p, *end; /* p: behind the token */
	const uint8_t *line_start;
	size_t line; /* from 1 */
	enum token kind;
	struct bytes token; /* a string with its quotes */
	struct buf text; /* what scan_string and scan_type_url have read */
	struct err *e;
};

/* Checks that TEXT, which is borrowed, is UTF-8. There is no token before the first scan_next. -EINVAL. */
int scan_start(struct scan *s, struct bytes text, struct err *e);
void scan_release(struct scan *s);

/* Goes on to the next token. -EINVAL: a string without its end. */
int scan_next(struct scan *s);

/* Is the token the sign SIGN? */
bool scan_at(const struct scan *s, char sign);

/* Passes the sign SIGN: 1, or 0 if the token is another. */
int scan_take_if(struct scan *s, char sign);

/* Passes the sign SIGN. -EINVAL: the token is another. */
int scan_take(struct scan *s, char sign);

/* Copies the token to NAME. False if it is not a word, or longer than any name. */
bool scan_name(const struct scan *s, char name[SCAN_NAME]);

/* Each of these reads a value and passes its token. BITS is 32 or 64; a negative number has 64 in OUT. -EINVAL: the token
 * is no such value. */
int scan_integer(struct scan *s, bool is_signed, unsigned bits, uint64_t *out);
int scan_double(struct scan *s, double *out);
int scan_bool(struct scan *s, int *out);

/* Reads a string, or several side by side as one, into `text`, without quotes and escapes. -EINVAL, -ENOMEM. */
int scan_string(struct scan *s);

/* Reads an address up to the sign ']' into `text`, with a NUL behind it and without the spaces that may be in it. The
 * token is then that sign. -EINVAL, -ENOMEM. */
int scan_type_url(struct scan *s);

/* Both return -EINVAL: the token is not WHAT; the token is a bad one, WHY says. */
int scan_expected(struct scan *s, const char *what);
int scan_refuse(struct scan *s, const char *why);
