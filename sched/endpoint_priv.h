/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint_priv.h: where a job's socket is, for both of its ends. */
#ifndef WEIR_SCHED_ENDPOINT_PRIV_H
#define WEIR_SCHED_ENDPOINT_PRIV_H

#include <sys/un.h>

#include "base/base.h"

#define ENDPOINT_SUFFIX ".sock"
#define ENDPOINT_PATH_BYTES 1024

/* weir_endpoint_address - the address of a socket's path, which may be longer than an address is:
 * then it goes through a descriptor of its directory.
 *
 * Owner:   *ret_dir_fd is the caller's to close once the address has been used; -1: none is needed.
 * Returns: 0, or an errno: ENAMETOOLONG for a name that no address holds.
 */
int weir_endpoint_address(const char *path, struct sockaddr_un *ret_address, int *ret_dir_fd);

#endif
