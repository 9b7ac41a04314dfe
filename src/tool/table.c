#include "tool/table.h"
#include "base/cleanup.h"
#include "base/utf8.h"
#include <inttypes.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <wchar.h>

enum { GAP = 2 };

struct table_cell {
	size_t end; /* in the text */
	enum colour colour;
	bool alone; /* it has the whole line, and no part in the widths */
};

void table_release(struct table *t)
{
	buf_release(&t->text);
	buf_release(&t->cells);
}

/* --- cells ---------------------------------------------------------------------------------------------------- */

int table_text(struct table *t, const char *text)
{
	struct table_cell c = {0};
	int r = buf_add_str(&t->text, text);

	c.end = t->text.n;
	return r < 0 ? r : buf_add(&t->cells, &c, sizeof c);
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

static struct table_cell *cell(const struct table *t, size_t i)
{
	return (struct table_cell *)(void *)t->cells.p + i;
}

void table_colour(struct table *t, enum colour c)
{
	if (t->cells.n)
		cell(t, n_cells(t) - 1)->colour = c;
}

int table_heading(struct table *t, const char *const *names)
{
	int r = 0;

	for (size_t i = 0; i < strlen(t->columns) && r == 0; i++) {
		r = table_text(t, names[i]);
		table_colour(t, COLOUR_QUIET);
	}
	return r;
}

int table_line(struct table *t, enum colour c, const char *text)
{
	int r = table_text(t, text);

	if (r == 0)
		cell(t, n_cells(t) - 1)->alone = true;
	table_colour(t, c);
	for (size_t i = 1; i < strlen(t->columns) && r == 0; i++)
		r = table_text(t, "");
	return r;
}

static struct bytes bytes_in(const struct table *t, size_t i)
{
	size_t start = i ? cell(t, i - 1)->end : 0;

	return bytes_of(t->text.p + start, cell(t, i)->end - start);
}

/* --- widths --------------------------------------------------------------------------------------------------- */

static unsigned columns_of_character(struct bytes c)
{
	wchar_t wide;
	int n;

	if (c.n == 1 || mbrtowc(&wide, (const char *)c.p, c.n, &(mbstate_t){0}) != c.n)
		return 1;
	n = wcwidth(wide);
	return n < 0 ? 1 : (unsigned)n;
}

static unsigned columns_of(struct bytes s)
{
	unsigned n = 0;

	while (s.n)
		n += columns_of_character(utf8_take(&s));
	return n;
}

/* Of each cell the columns of a terminal, whatever the locale is. NULL: no memory. */
static unsigned *measure(const struct table *t)
{
	size_t n = n_cells(t);
	unsigned *widths = calloc(n + 1, sizeof *widths);
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	locale_t before = utf8 ? uselocale(utf8) : (locale_t)0;

	for (size_t i = 0; i < n && widths; i++)
		widths[i] = columns_of(bytes_in(t, i));
	if (utf8) {
		uselocale(before);
		freelocale(utf8);
	}
	return widths;
}

/* --- one below the other -------------------------------------------------------------------------------------- */

/* Where a table is printed, and how. */
struct printing {
	FILE *to;
	unsigned width; /* of a terminal, or 0 */
	bool colours;
	unsigned spaces; /* before what comes next on the line */
};

static struct printing printing(FILE *to)
{
	return (struct printing){to, terminal_width(fileno(to)), colours_wanted(to), 0};
}

static void put_cell(struct printing *p, const struct table *t, size_t i)
{
	enum colour colour = p->colours ? cell(t, i)->colour : COLOUR_NONE;
	struct bytes s = bytes_in(t, i);

	if (!s.n)
		return;
	for (; p->spaces; p->spaces--)
		putc_unlocked(' ', p->to);
	colour_begin(colour, p->to);
	if (p->width)
		terminal_put(s, "", p->to);
	else
		fwrite_unlocked(s.p, 1, s.n, p->to);
	colour_end(colour, p->to);
}

static void end_line(struct printing *p)
{
	putc_unlocked('\n', p->to);
	p->spaces = 0;
}

/* The width that each column needs. */
static void widen(const struct table *t, const unsigned *widths, unsigned *columns)
{
	size_t n_columns = strlen(t->columns);

	for (size_t i = 0; i < n_cells(t); i++)
		if (!cell(t, i)->alone && widths[i] > columns[i % n_columns])
			columns[i % n_columns] = widths[i];
}

/* Hides columns until the others have room on a terminal of WIDTH. The last one has names, and is counted as no more than half of
 * that: one long name is no reason. */
static void hide(const struct table *t, unsigned *columns, unsigned width)
{
	size_t n = strlen(t->columns);
	unsigned all = 0;

	for (size_t i = 0; i < n; i++)
		all += i + 1 < n || columns[i] < width / 2 ? columns[i] + GAP : width / 2 + GAP;
	for (char rank = '1'; all > width + GAP && rank <= '9'; rank++) {
		const char *at = strchr(t->spare, rank);

		if (!at)
			break;
		all -= columns[at - t->spare] + GAP;
		columns[at - t->spare] = 0;
	}
}

void table_print(const struct table *t, FILE *to)
{
	size_t n = strlen(t->columns);
	CLEANUP(freep) unsigned *columns = calloc(n, sizeof *columns);
	CLEANUP(freep) unsigned *widths = measure(t);
	struct printing p = printing(to);
	bool sized = columns && widths; /* else there is no memory, and nothing is aligned */

	if (sized)
		widen(t, widths, columns);
	if (sized && p.width && t->spare)
		hide(t, columns, p.width);
	for (size_t i = 0; i < n_cells(t); i++) {
		size_t column = i % n;
		unsigned pad =
			sized && columns[column] > widths[i] ? columns[column] - widths[i] : 0;

		if (!sized || columns[column] || cell(t, i)->alone) {
			p.spaces += t->columns[column] == 'r' ? pad : 0;
			put_cell(&p, t, i);
			p.spaces += GAP + (t->columns[column] == 'l' ? pad : 0);
		}
		if (column + 1 == n)
			end_line(&p);
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

void table_print_across(const struct table *t, FILE *to)
{
	size_t n = n_cells(t), rows = n;
	CLEANUP(freep) unsigned *widths = measure(t);
	struct printing p = printing(to);

	if (widths && p.width)
		rows = rows_of(widths, n, p.width);
	for (size_t row = 0; row < rows; row++) {
		for (size_t i = row; i < n; i += rows) {
			put_cell(&p, t, i);
			if (i + rows < n)
				p.spaces = widest(widths, n, i - row, rows) + GAP - widths[i];
		}
		end_line(&p);
	}
}

/* --- cells of a kind -------------------------------------------------------------------------------------------- */

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
