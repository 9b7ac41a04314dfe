/* src/verb/verb.h: the verbs of ckptfs. Each is a program of its own: it takes its command line, with "ckptfs VERB" in argv[0], and
 * returns the exit status: 0; 1 where something could not be done, of diff(1)'s kind where something differs; 2 for wrong usage. */
#pragma once

enum { VERB_FAILED = 1, VERB_USAGE = 2 };

int verb_average(int argc, char **argv);
int verb_cast(int argc, char **argv);
int verb_cat(int argc, char **argv);
int verb_commit(int argc, char **argv);
int verb_cp(int argc, char **argv);
int verb_dedup(int argc, char **argv);
int verb_diff(int argc, char **argv);
int verb_discard(int argc, char **argv);
int verb_edit(int argc, char **argv);
int verb_export(int argc, char **argv);
int verb_import(int argc, char **argv);
int verb_ln(int argc, char **argv);
int verb_log(int argc, char **argv);
int verb_ls(int argc, char **argv);
int verb_merge(int argc, char **argv);
int verb_mkdir(int argc, char **argv);
int verb_mv(int argc, char **argv);
int verb_rm(int argc, char **argv);
int verb_stat(int argc, char **argv);
int verb_status(int argc, char **argv);
int verb_tree(int argc, char **argv);
