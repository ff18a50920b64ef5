/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <nss.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A database of users, for nsswitch.conf(5), that does what the file named by the environment says: "a", it
 * calls everybody alice; "n", there is no such user; "f", it fails; "h", it never answers. */
enum nss_status _nss_doubt_getpwuid_r(uid_t uid, struct passwd *ret, char *buffer, size_t size,
                                      int *ret_errno);

enum nss_status _nss_doubt_getpwuid_r(uid_t uid, struct passwd *ret, char *buffer, size_t size,
                                      int *ret_errno)
{
        const char *path = getenv("NSS_DOUBT");
        FILE *f = path ? fopen(path, "re") : NULL;
        int mood = f ? fgetc(f) : 'n';

        if (f)
                fclose(f);
        while (mood == 'h')
                pause();
        if (mood == 'f') {
                *ret_errno = EIO;
                return NSS_STATUS_UNAVAIL;
        }
        if (mood != 'a' || size < 1) {
                *ret_errno = ENOENT;
                return NSS_STATUS_NOTFOUND;
        }
        buffer[0] = '\0';
        *ret = (struct passwd){
                .pw_name = (char *)"alice",
                .pw_passwd = buffer,
                .pw_uid = uid,
                .pw_gid = uid,
                .pw_gecos = buffer,
                .pw_dir = buffer,
                .pw_shell = buffer,
        };
        return NSS_STATUS_SUCCESS;
}
