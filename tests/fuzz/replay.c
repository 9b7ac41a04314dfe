/* Runs the inputs of a corpus, or those named on the command line, once each. */
#include "fuzz/fuzz.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int replay(const char *path)
{
	FILE *f = fopen(path, "re");
	struct stat st;
	uint8_t *data;
	size_t n;

	if (!f || fstat(fileno(f), &st) < 0 || !(data = malloc((size_t)st.st_size + 1))) {
		perror(path);
		return EXIT_FAILURE;
	}
	n = fread(data, 1, (size_t)st.st_size, f);
	fclose(f);
	/* A copy without room behind it, so that a byte too far is seen. */
	data = realloc(data, n ? n : 1);
	LLVMFuzzerTestOneInput(data, n);
	free(data);
	return EXIT_SUCCESS;
}

static int replay_folder(const char *folder)
{
	DIR *d = opendir(folder);
	const struct dirent *de;
	int n = 0, result = EXIT_SUCCESS;
	char path[4096];

	if (!d) {
		perror(folder);
		return EXIT_FAILURE;
	}
	while ((de = readdir(d))) {
		if (de->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", folder, de->d_name);
		if (replay(path) != EXIT_SUCCESS)
			result = EXIT_FAILURE;
		n++;
	}
	closedir(d);
	printf("%s: %d inputs\n", folder, n);
	return n ? result : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	int result = EXIT_SUCCESS;

	if (argc < 2)
		return replay_folder(CORPUS);
	for (int i = 1; i < argc; i++)
		if (replay(argv[i]) != EXIT_SUCCESS)
			result = EXIT_FAILURE;
	return result;
}
