#include "tool/table.h"
#include "base/cleanup.h"
#include "base/utf8.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>

enum { GAP = 2 };

struct table_cell {
	size_t end; /* in the text */
	unsigned width; /* columns of a terminal */
};

void table_release(struct table *t)
{
	buf_release(&t->text);
	buf_release(&t->cells);
}

/* --- cells ---------------------------------------------------------------------------------------------------- */

/* Characters of UTF-8 count, and each byte that is none. */
static unsigned columns_of(struct bytes s)
{
	unsigned n = 0;

	for (; s.n; n++) {
		size_t length = *s.p < 0x80 ? 1 : utf8_length(s);

		s = bytes_of(s.p + (length ? length : 1), s.n - (length ? length : 1));
	}
	return n;
}

/* What is behind BEFORE in the text is a cell. */
static int end_cell(struct table *t, size_t before)
{
	const struct table_cell c = {t->text.n,
				     columns_of(bytes_of(t->text.p + before, t->text.n - before))};

	return buf_add(&t->cells, &c, sizeof c);
}

int table_text(struct table *t, const char *text)
{
	size_t before = t->text.n;
	int r = buf_add_str(&t->text, text);

	return r < 0 ? r : end_cell(t, before);
}

int table_cell(struct table *t, const char *fmt, ...)
{
	CLEANUP(freep) char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	return n < 0 ? -ENOMEM : table_text(t, text);
}

int table_size(struct table *t, uint64_t bytes, bool human)
{
	char text[HUMAN_SIZE];

	return human ? table_text(t, human_size(bytes, text)) : table_cell(t, "%" PRIu64, bytes);
}

static size_t n_cells(const struct table *t)
{
	return t->cells.n / sizeof(struct table_cell);
}

static const struct table_cell *cell(const struct table *t, size_t i)
{
	return (const struct table_cell *)(const void *)t->cells.p + i;
}

static size_t length_of(const struct table *t, size_t i)
{
	return cell(t, i)->end - (i ? cell(t, i - 1)->end : 0);
}

static void put_cell(const struct table *t, size_t i, FILE *to)
{
	size_t n = length_of(t, i);

	if (n)
		fwrite(t->text.p + cell(t, i)->end - n, 1, n, to);
}

static void put_spaces(unsigned n, FILE *to)
{
	while (n--)
		putc_unlocked(' ', to);
}

/* --- one below the other -------------------------------------------------------------------------------------- */

void table_print(const struct table *t, FILE *to)
{
	size_t columns = strlen(t->columns), n = n_cells(t);
	CLEANUP(freep) unsigned *widths = calloc(columns, sizeof *widths);

	for (size_t i = 0; i < n && widths; i++) {
		unsigned *widest = &widths[i % columns];

		*widest = cell(t, i)->width > *widest ? cell(t, i)->width : *widest;
	}
	for (size_t i = 0; i < n; i++) {
		size_t column = i % columns;
		unsigned pad = widths ? widths[column] - cell(t, i)->width : 0;
		bool last = column + 1 == columns;

		if (t->columns[column] == 'r')
			put_spaces(pad, to);
		put_cell(t, i, to);
		if (last) {
			putc_unlocked('\n', to);
			continue;
		}
		if (t->columns[column] == 'l')
			put_spaces(pad, to);
		put_spaces(GAP, to);
	}
}

/* --- side by side -------------------------------------------------------------------------------------------- */

/* The widest of the ROWS cells from AT on, of N. */
static unsigned widest(const unsigned *widths, size_t n, size_t at, size_t rows)
{
	unsigned max = 0;

	for (size_t i = at; i < at + rows && i < n; i++)
		max = widths[i] > max ? widths[i] : max;
	return max;
}

static bool fits(const unsigned *widths, size_t n, size_t rows, unsigned width)
{
	unsigned all = 0;

	for (size_t at = 0; at < n && all <= width + GAP; at += rows)
		all += widest(widths, n, at, rows) + GAP;
	return all <= width + GAP;
}

/* The fewest rows in which N cells have room. No fewer are tried than all their characters need. */
static size_t rows_of(const unsigned *widths, size_t n, unsigned width)
{
	size_t all = 0, rows;

	for (size_t i = 0; i < n; i++)
		all += widths[i] + GAP;
	rows = all / (width + GAP) + 1;
	while (rows < n && !fits(widths, n, rows, width))
		rows++;
	return rows < n ? rows : n;
}

void table_print_across(const struct table *t, unsigned width, FILE *to)
{
	size_t n = n_cells(t), rows = n;
	CLEANUP(freep) unsigned *widths = calloc(n + 1, sizeof *widths);

	for (size_t i = 0; i < n && widths; i++)
		widths[i] = cell(t, i)->width;
	if (width && widths)
		rows = rows_of(widths, n, width);
	for (size_t row = 0; row < rows; row++)
		for (size_t i = row; i < n; i += rows) {
			put_cell(t, i, to);
			if (i + rows >= n)
				putc('\n', to);
			else
				put_spaces(widest(widths, n, i - row, rows) + GAP - widths[i], to);
		}
}

/* --- the terminal -------------------------------------------------------------------------------------------- */

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

const char *human_size(uint64_t bytes, char out[HUMAN_SIZE])
{
	static const char letters[] = "KMGTPE";
	double v = (double)bytes;
	int i = -1;

	if (bytes < 1024) {
		snprintf(out, HUMAN_SIZE, "%" PRIu64, bytes);
		return out;
	}
	for (; v >= 999.5 && i < 5; i++)
		v /= 1024;
	snprintf(out, HUMAN_SIZE, v < 9.95 ? "%.1f%c" : "%.0f%c", v, letters[i]);
	return out;
}

const char *time_text(const struct timespec *at, char out[TIME_TEXT])
{
	struct tm tm;

	out[0] = 0;
	if (localtime_r(&at->tv_sec, &tm))
		strftime(out, TIME_TEXT, "%Y-%m-%d %H:%M:%S", &tm);
	return out;
}
