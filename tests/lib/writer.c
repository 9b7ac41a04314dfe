/* tests/lib/writer.c: what umount.ckptfs relies on in a daemon that writes, and nothing else.
 *
 *     writer SOURCE MOUNTPOINT [CODE [SENTENCES [SECONDS]]]
 *
 * mounts an empty folder. fsync of it answers CODE, user.ckptfs.error is SENTENCES, and SOURCE stays locked until SECONDS
 * after the end of the mount; the file SOURCE/ended is made just before. -o options are in $WRITER_OPTIONS. */
#define FUSE_USE_VERSION 35
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

struct writer {
	int code;
	const char *sentences;
};

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st = {
		.st_ino = ino, .st_mode = S_IFDIR | 0755, .st_nlink = 2, .st_uid = getuid()};

	(void)fi;
	fuse_reply_attr(req, &st, 1);
}

static void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int data, struct fuse_file_info *fi)
{
	const struct writer *w = fuse_req_userdata(req);

	(void)ino, (void)data, (void)fi;
	fuse_reply_err(req, w->code);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	const struct writer *w = fuse_req_userdata(req);
	size_t n = strlen(w->sentences);

	(void)ino;
	if (!n || strcmp(name, "user.ckptfs.error") != 0)
		fuse_reply_err(req, ENODATA);
	else if (!size)
		fuse_reply_xattr(req, n);
	else if (size < n)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, w->sentences, n);
}

static const struct fuse_lowlevel_ops ops = {
	.getattr = op_getattr,
	.fsyncdir = op_fsyncdir,
	.getxattr = op_getxattr,
};

int main(int argc, char **argv)
{
	struct writer w = {.code = argc > 3 ? atoi(argv[3]) : 0,
			   .sentences = argc > 4 ? argv[4] : ""};
	const char *more = getenv("WRITER_OPTIONS");
	char options[4096];
	char *fuse_argv[] = {argv[0], "-o", options};
	struct fuse_args args = FUSE_ARGS_INIT(3, fuse_argv);
	struct fuse_session *se;
	int source;

	if (argc < 3)
		return 1;
	source = open(argv[1], O_RDONLY | O_DIRECTORY);
	if (source < 0 || flock(source, LOCK_EX | LOCK_NB) < 0) {
		perror(argv[1]);
		return 2;
	}
	snprintf(options, sizeof options, "fsname=%s,subtype=ckptfs,default_permissions%s%s",
		 argv[1], more ? "," : "", more ? more : "");
	se = fuse_session_new(&args, &ops, sizeof ops, &w);
	if (!se || fuse_set_signal_handlers(se) != 0 || fuse_session_mount(se, argv[2]) != 0)
		return 32;
	fuse_session_loop(se);
	fuse_session_unmount(se);
	fuse_remove_signal_handlers(se);
	fuse_session_destroy(se);
	fuse_opt_free_args(&args);
	sleep(argc > 5 ? (unsigned)atoi(argv[5]) : 0);
	close(openat(source, "ended", O_WRONLY | O_CREAT, 0666));
	return 0;
}
