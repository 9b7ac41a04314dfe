#include "tool/terminal.h"
#include "base/utf8.h"
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

unsigned terminal_width(int fd)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size = {0};
	int n = columns ? atoi(columns) : 0;

	if (!isatty(fd))
		return 0;
	if (n > 0)
		return (unsigned)n;
	return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

void terminal_put(struct bytes text, const char *keep, FILE *to)
{
	bool safe = !isatty(fileno(to));

	while (!safe && text.n) {
		struct bytes c = utf8_take(&text);

		if (utf8_is_control(c) && !(*c.p && strchr(keep, *c.p)))
			putc_unlocked('?', to);
		else
			fwrite_unlocked(c.p, 1, c.n, to);
	}
	fwrite_unlocked(text.p, 1, text.n, to);
}

/* https://no-color.org: any value that is not empty forbids them. */
bool colours_wanted(FILE *to)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fileno(to)) && !(no_color && *no_color) && term && *term &&
	       strcmp(term, "dumb") != 0;
}

void colour_begin(enum colour c, FILE *to)
{
	static const char *const codes[] = {
		[COLOUR_ADDED] = "\033[32m",    [COLOUR_REMOVED] = "\033[31m",
		[COLOUR_CHANGED] = "\033[33m",  [COLOUR_BAD] = "\033[1;31m",
		[COLOUR_FOLDER] = "\033[1;34m", [COLOUR_LINK] = "\033[1;36m",
		[COLOUR_QUIET] = "\033[2m",
	};

	if (c != COLOUR_NONE)
		fputs(codes[c], to);
}

void colour_end(enum colour c, FILE *to)
{
	if (c != COLOUR_NONE)
		fputs("\033[0m", to);
}
