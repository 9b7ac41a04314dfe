#include "message/repr.h"
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Rewrites SCI, which is "[-]d[.ddd]e[+-]dd" as printf has it. */
static void lay_out(const char *sci, char out[REPR_MAX])
{
	const char *sign = *sci == '-' ? "-" : "";
	char digits[20];
	int n = 0, exponent;

	sci += *sci == '-';
	for (; *sci != 'e'; sci++)
		if (*sci != '.')
			digits[n++] = *sci;
	while (n > 1 && digits[n - 1] == '0')
		n--;
	digits[n] = 0;
	exponent = atoi(sci + 1);

	if (exponent < -4 || exponent >= 16)
		snprintf(out, REPR_MAX, "%s%c%s%se%c%02d", sign, digits[0], n > 1 ? "." : "",
			 digits + 1, exponent < 0 ? '-' : '+', abs(exponent));
	else if (exponent < 0)
		snprintf(out, REPR_MAX, "%s0.%.*s%s", sign, -exponent - 1, "000", digits);
	else if (n <= exponent + 1)
		snprintf(out, REPR_MAX, "%s%s%.*s.0", sign, digits, exponent + 1 - n,
			 "000000000000000");
	else
		snprintf(out, REPR_MAX, "%s%.*s.%s", sign, exponent + 1, digits,
			 digits + exponent + 1);
}

static bool is_special(double v, char out[REPR_MAX])
{
	if (isfinite(v))
		return false;
	strcpy(out, isnan(v) ? "nan" : v < 0 ? "-inf" : "inf");
	return true;
}

/* Adds one to the last digit of SCI; false if that would make it a digit longer. */
static bool step_up(char *sci)
{
	char *at = strchr(sci, 'e');

	while (at-- > sci) {
		if (*at == '.')
			continue;
		if (*at == '-')
			return false;
		if (*at != '9') {
			++*at;
			return true;
		}
		*at = '0';
	}
	return false;
}

/* Above a power of two doubles lie twice as far apart as below it. So the nearest decimal of 16 digits,
 * if it is the lower one, may be outside of what reads back as V while the next one up is inside. */
static bool reads_back_one_up(const char *sci, double v, char out[REPR_MAX])
{
	strcpy(out, sci);
	return step_up(out) && strtod(out, NULL) == v;
}

void repr_double(double v, char out[REPR_MAX])
{
	/* Any 15 digits name a normal number of their own, so fewer are found by cutting zeros off. */
	int precision = fabs(v) < DBL_MIN ? 1 : 15;
	char sci[REPR_MAX], up[REPR_MAX];

	if (is_special(v, out))
		return;
	for (; precision <= 17; precision++) {
		snprintf(sci, sizeof sci, "%.*e", precision - 1, v);
		if (strtod(sci, NULL) == v)
			break;
		if (reads_back_one_up(sci, v, up)) {
			strcpy(sci, up);
			break;
		}
	}
	lay_out(sci, out);
}

void repr_float(float v, char out[REPR_MAX])
{
	int precision = 6;
	char sci[REPR_MAX];

	if (is_special((double)v, out))
		return;
	do
		snprintf(sci, sizeof sci, "%.*e", precision - 1, (double)v);
	while (precision++ < 9 && (float)strtod(sci, NULL) != v);
	lay_out(sci, out);
}
