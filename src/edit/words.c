#include "edit/words.h"
#include "base/cleanup.h"

void words_release(struct words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->all[i]);
	buf_release(&w->array);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* *AT is behind the quote QUOTE; it goes behind the next one. */
static int add_quoted(const char **at, char quote, struct buf *word, struct err *e)
{
	int r = 0;

	for (; **at && **at != quote && r == 0; ++*at) {
		if (quote == '"' && **at == '\\' && ((*at)[1] == '"' || (*at)[1] == '\\'))
			++*at;
		r = buf_add_byte(word, (uint8_t) * *at);
	}
	if (r == 0 && !**at)
		return err_set(e, -EINVAL, "a %c is not closed", quote);
	++*at;
	return r < 0 ? err_set(e, r, "no memory") : 0;
}

/* *AT is at the beginning of a word; it goes behind it. */
static int add_word(const char **at, struct buf *word, struct err *e)
{
	int r = 0;

	while (**at && !is_blank(**at) && r == 0) {
		char c = *(*at)++;

		if (c == '\'' || c == '"') {
			r = add_quoted(at, c, word, e);
			continue;
		}
		if (c == '\\' && **at)
			c = *(*at)++;
		if (buf_add_byte(word, (uint8_t)c) < 0)
			r = err_set(e, -ENOMEM, "no memory");
	}
	if (r == 0 && buf_add_byte(word, 0) < 0)
		r = err_set(e, -ENOMEM, "no memory");
	return r;
}

int words_split(const char *line, struct words *out, struct err *e)
{
	int r = 0;

	while (r == 0) {
		CLEANUP(buf_release) struct buf word = {0};
		char *text;

		while (is_blank(*line))
			line++;
		if (!*line || *line == '#')
			return 0;
		r = add_word(&line, &word, e);
		if (r < 0)
			return r;
		text = (char *)TAKE(word.p, NULL);
		if (buf_add(&out->array, &text, sizeof text) < 0) {
			free(text);
			return err_set(e, -ENOMEM, "no memory");
		}
		out->all = (char **)(void *)out->array.p;
		out->n++;
	}
	return r;
}
