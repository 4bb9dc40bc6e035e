/*
 * Two kinds of failure.
 *
 * That a peer, an app or a packet is wrong is ordinary life: a positive
 * outcome, listed in the header of the function that can produce it
 * (FOO_E_BAR), handled by its caller and never passed on unchanged, because
 * the next caller up has another list. That our own process is in trouble
 * (no memory, a kernel that says no) is a negative errno, passed up untouched.
 *
 * A caller that meets an outcome it did not agree to folds it: error_fold()
 * makes it negative and notes where, so that a surprise is fatal and traceable
 * instead of being mistaken for one of the caller's own outcomes.
 */
#ifndef OCF_BASE_ERROR_H
#define OCF_BASE_ERROR_H

/* Return: r where it is 0 or negative; -ENOTRECOVERABLE where it was an outcome nobody expected. */
int error_fold_at(int r, const char *file, int line);

#define error_fold(r) error_fold_at((r), __FILE__, __LINE__)

/* Where the last surprise was folded, for the message that ends the process; "" and 0 if none was. */
void error_last_fold(const char **ret_file, int *ret_line, int *ret_outcome);

#endif
