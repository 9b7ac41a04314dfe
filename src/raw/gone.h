/* src/raw/gone.h: what the view has shown of files that were removed through the mount. For raw/ alone.
 *
 * `rm -r`, shutil.rmtree and TensorFlow's rmtree list a folder, and then remove what they have listed, the files first. With
 * its index a step's folder goes, and with the state file the link `latest`; with the folder of a step, or a link, also what the view shows
 * of it as a file (view.safetensors). So whoever has listed the folder finds these a while longer, as an empty folder, a link or a file,
 * and rmdir and unlink take them: for two seconds, and as long as the folder stays open. But only if it was open when the file was removed, or not long before. Nobody else finds them. */
#pragma once
#include "raw/raw.h"

/* The folder ID is listed by PID from now on. Gives the number of this listing, with which it ends. 0: no memory. */
uint32_t raw_gone_begin(struct raw *r, uint64_t id, pid_t pid);
void raw_gone_end(struct raw *r, uint32_t number);

/* The file NAME in PARENT was removed. Without memory what has gone with it is just not found. */
void raw_gone_note(struct raw *r, uint64_t parent, const char *name);

/* The same of the folder of a step. */
void raw_gone_note_step(struct raw *r, uint64_t parent, const char *name);

/* Is NAME in PARENT such a folder, link or file, for PID? Its type, or 0. */
mode_t raw_gone_find(struct raw *r, uint64_t parent, const char *name, pid_t pid);

/* From now on it is not. False: it was not, for anybody. */
bool raw_gone_take(struct raw *r, uint64_t parent, const char *name);

/* To be called at the end. */
void raw_gone_release(struct raw *r);
