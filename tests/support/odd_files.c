/* A file system that is not like others, for one process: preloaded, with $ODD_FILES saying in what way.

   "rename": nothing can be renamed. "close": it is said only on closing that there is no room for a file, which is how
   network file systems answer; of files below $ODD_FOLDER that are longer than 20,000 bytes. */

#define _GNU_SOURCE
#include <errno.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int refuse(int number) {
    errno = number;
    return -1;
}

static int is(const char *way) {
    const char *ways = getenv("ODD_FILES");
    return ways && strcmp(ways, way) == 0;
}

int rename(const char *old, const char *new) {
    int (*usual)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    return is("rename") ? refuse(EPERM) : usual(old, new);
}

int renameat(int from, const char *old, int to, const char *new) {
    int (*usual)(int, const char *, int, const char *) = dlsym(RTLD_NEXT, "renameat");
    return is("rename") ? refuse(EPERM) : usual(from, old, to, new);
}

int close(int file) {
    int (*usual)(int) = dlsym(RTLD_NEXT, "close");
    char link[64], path[PATH_MAX] = "";
    const char *folder = getenv("ODD_FOLDER");
    struct stat about;
    int full = 0;
    if (is("close") && folder) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", file);
        full = readlink(link, path, sizeof path - 1) > 0 && strncmp(path, folder, strlen(folder)) == 0
            && (fcntl(file, F_GETFL) & O_ACCMODE) != O_RDONLY && fstat(file, &about) == 0 && about.st_size > 20000;
    }
    return usual(file) == 0 && full ? refuse(ENOSPC) : 0;
}
