/*
 * The calls by which a process changes a file system, counted below one folder, one of them failing on demand.
 *
 * Loaded with LD_PRELOAD it stands before libc's own functions, so that it sees Python, SQLite and every other library
 * that is linked to libc. It does nothing before `injector_arm` was called, which a child of a fork does for itself.
 * What libc calls within itself (fopen, posix_spawn) and what is written through a mapping are not seen.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* as `Fault` in library.py numbers them */
enum fault { NONE, EIO_ONCE, ENOSPC_ONCE, EIO_ON, ENOSPC_ON, TORN, HALF, SHORT, KILL_BEFORE, KILL_AFTER };

/* what a call asks of the disk */
enum kind { CHANGES, NEEDS_ROOM };

struct verdict {
    int error;      /* fails with this, and nothing is done */
    int half;       /* only half of the bytes are written */
    int then_error; /* fails with this after that */
    int then_kill;
};

static struct {
    int armed;
    char root[PATH_MAX];
    size_t length;
    int log;
    long target;
    enum fault fault;
    long count;
} state;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* root without a closing slash, nor links; log: a descriptor; target: the call that fails, counted from 1, 0 for none */
void injector_arm(const char *root, int log, long target, int fault) {
    snprintf(state.root, sizeof state.root, "%s", root);
    state.length = strlen(state.root);
    state.log = log;
    state.target = target;
    state.fault = (enum fault)fault;
    state.count = 0;
    state.armed = 1;
}

/* the number of calls so far */
long injector_count(void) { return state.count; }

static void *next(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) {
        fprintf(stderr, "fault injector: libc has no %s\n", name);
        abort();
    }
    return found;
}

#define NEXT(name) ((__typeof__(&name))next(#name))

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* the path below the root, "" for the root itself; NULL for any other place */
static const char *below(const char *path) {
    if (strncmp(path, state.root, state.length) != 0) return NULL;
    if (path[state.length] == '\0') return "";
    return path[state.length] == '/' ? path + state.length + 1 : NULL;
}

static const char *of_descriptor(int descriptor, char *place) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, place, PATH_MAX - 1);
    if (length < 0) return NULL;
    place[length] = '\0';
    return below(place);
}

/* without `.`, `..` and empty parts; a link on the way is not looked for */
static void flatten(char *place) {
    char *end = place;
    for (const char *part = place; *part != '\0';) {
        while (*part == '/') part++;
        size_t length = strcspn(part, "/");
        if (length == 2 && part[0] == '.' && part[1] == '.') {
            while (end > place && *--end != '/') continue;
        } else if (length > 0 && !(length == 1 && part[0] == '.')) {
            *end++ = '/';
            memmove(end, part, length);
            end += length;
        }
        part += length;
    }
    *end = '\0';
}

static const char *of_path(int folder, const char *path, char *place) {
    if (path == NULL) return NULL;
    if (path[0] == '/') {
        snprintf(place, PATH_MAX, "%s", path);
        flatten(place);
        return below(place);
    }
    char start[PATH_MAX];
    if (folder == AT_FDCWD) {
        if (getcwd(start, sizeof start) == NULL) return NULL;
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t length = readlink(link, start, sizeof start - 1);
        if (length < 0) return NULL;
        start[length] = '\0';
    }
    if (strlen(start) + strlen(path) + 2 > PATH_MAX) return NULL;
    strcpy(place, start);
    strcat(place, "/");
    strcat(place, path);
    flatten(place);
    return below(place);
}

static struct verdict judge(const char *call, const char *path, const char *other, long long bytes, enum kind kind) {
    struct verdict verdict = {0, 0, 0, 0};
    pthread_mutex_lock(&lock);
    long number = ++state.count;
    char line[3 * PATH_MAX];
    int length = snprintf(line, sizeof line, "%ld\t%s\t%lld\t%s\t%s\n", number, call, bytes, path, other ? other : "");
    if (syscall(SYS_write, state.log, line, (size_t)length) != length) abort();
    pthread_mutex_unlock(&lock);
    if (state.target == 0 || number < state.target) return verdict;
    if (state.fault == EIO_ON) verdict.error = EIO;
    if (state.fault == ENOSPC_ON && kind == NEEDS_ROOM) verdict.error = ENOSPC;
    if (number > state.target) return verdict;
    switch (state.fault) {
    case EIO_ONCE: verdict.error = EIO; break;
    case ENOSPC_ONCE: verdict.error = ENOSPC; break;
    case TORN: verdict.half = verdict.then_kill = 1; break;
    case HALF: verdict.half = 1; verdict.then_error = ENOSPC; break;
    case SHORT: verdict.half = bytes > 1; break;
    case KILL_BEFORE: die(); break;
    case KILL_AFTER: verdict.then_kill = 1; break;
    default: break;
    }
    return verdict;
}

/* the whole of a call that does or does not do what it is asked for */
#define ALL_OR_NOTHING(call, path, other, kind, failure, act)                                                          \
    if (path != NULL) {                                                                                                \
        struct verdict verdict = judge(call, path, other, -1, kind);                                                   \
        if (verdict.error) {                                                                                           \
            errno = verdict.error;                                                                                     \
            return failure;                                                                                            \
        }                                                                                                              \
        __typeof__(act) given = act;                                                                                   \
        if (verdict.then_kill) die();                                                                                  \
        return given;                                                                                                  \
    }                                                                                                                  \
    return act

#define ON_PATH(call, folder, name, kind, act)                                                                         \
    char place[PATH_MAX];                                                                                              \
    const char *path = state.armed ? of_path(folder, name, place) : NULL;                                              \
    ALL_OR_NOTHING(call, path, NULL, kind, -1, act)

#define ON_DESCRIPTOR(call, descriptor, kind, failure, act)                                                            \
    char place[PATH_MAX];                                                                                              \
    const char *path = state.armed ? of_descriptor(descriptor, place) : NULL;                                          \
    ALL_OR_NOTHING(call, path, NULL, kind, failure, act)

/* a change of two places counts where either is below the root */
#define ON_TWO(call, from_folder, from, to_folder, to, kind, act)                                                      \
    char source[PATH_MAX], target[PATH_MAX];                                                                           \
    const char *old = state.armed ? of_path(from_folder, from, source) : NULL;                                         \
    const char *new = state.armed ? of_path(to_folder, to, target) : NULL;                                             \
    const char *path = new != NULL ? new : old;                                                                        \
    ALL_OR_NOTHING(call, path, old, kind, -1, act)

/* ---- opening ---- */

static int opens_to_change(int flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0; }

static enum kind room_to_open(int folder, const char *name, int flags) {
    if ((flags & O_CREAT) == 0) return CHANGES;
    int before = errno;
    enum kind kind = faccessat(folder, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ? CHANGES : NEEDS_ROOM;
    errno = before;
    return kind;
}

#define ON_OPEN(call, folder, name, flags, act)                                                                        \
    char place[PATH_MAX];                                                                                              \
    const char *path = state.armed && opens_to_change(flags) ? of_path(folder, name, place) : NULL;                    \
    ALL_OR_NOTHING(call, path, NULL, room_to_open(folder, name, flags), -1, act)

#define MODE_OF(flags)                                                                                                 \
    mode_t mode = 0;                                                                                                   \
    if (((flags) & O_CREAT) != 0 || ((flags) & O_TMPFILE) == O_TMPFILE) {                                              \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode = va_arg(rest, mode_t);                                                                                   \
        va_end(rest);                                                                                                  \
    }

int open(const char *name, int flags, ...) {
    MODE_OF(flags)
    ON_OPEN("open", AT_FDCWD, name, flags, NEXT(open)(name, flags, mode));
}

int open64(const char *name, int flags, ...) {
    MODE_OF(flags)
    ON_OPEN("open", AT_FDCWD, name, flags, NEXT(open64)(name, flags, mode));
}

int openat(int folder, const char *name, int flags, ...) {
    MODE_OF(flags)
    ON_OPEN("open", folder, name, flags, NEXT(openat)(folder, name, flags, mode));
}

int openat64(int folder, const char *name, int flags, ...) {
    MODE_OF(flags)
    ON_OPEN("open", folder, name, flags, NEXT(openat64)(folder, name, flags, mode));
}

/* what `open` becomes where libc's headers check it at run time */
int __open_2(const char *name, int flags) { ON_OPEN("open", AT_FDCWD, name, flags, NEXT(open)(name, flags)); }

int __open64_2(const char *name, int flags) { ON_OPEN("open", AT_FDCWD, name, flags, NEXT(open64)(name, flags)); }

int __openat_2(int folder, const char *name, int flags) {
    ON_OPEN("open", folder, name, flags, NEXT(openat)(folder, name, flags));
}

int __openat64_2(int folder, const char *name, int flags) {
    ON_OPEN("open", folder, name, flags, NEXT(openat64)(folder, name, flags));
}

int creat(const char *name, mode_t mode) {
    ON_OPEN("open", AT_FDCWD, name, O_CREAT | O_TRUNC | O_WRONLY, NEXT(creat)(name, mode));
}

int creat64(const char *name, mode_t mode) {
    ON_OPEN("open", AT_FDCWD, name, O_CREAT | O_TRUNC | O_WRONLY, NEXT(creat64)(name, mode));
}

/* ---- writing ---- */

/* `act` writes `count` bytes, which are fewer than asked for where only half is to come */
#define ON_WRITE(call, descriptor, asked, act)                                                                         \
    char place[PATH_MAX];                                                                                              \
    const char *path = state.armed ? of_descriptor(descriptor, place) : NULL;                                          \
    size_t count = asked;                                                                                              \
    struct verdict verdict = {0, 0, 0, 0};                                                                             \
    if (path != NULL) verdict = judge(call, path, NULL, (long long)count, NEEDS_ROOM);                                 \
    if (verdict.error) {                                                                                               \
        errno = verdict.error;                                                                                         \
        return -1;                                                                                                     \
    }                                                                                                                  \
    if (verdict.half) count /= 2;                                                                                      \
    ssize_t given = count == 0 && verdict.half ? 0 : act;                                                              \
    if (verdict.then_kill) die();                                                                                      \
    if (verdict.then_error) {                                                                                          \
        errno = verdict.then_error;                                                                                    \
        return -1;                                                                                                     \
    }                                                                                                                  \
    return given

ssize_t write(int descriptor, const void *data, size_t size) {
    ON_WRITE("write", descriptor, size, NEXT(write)(descriptor, data, count));
}

ssize_t pwrite(int descriptor, const void *data, size_t size, off_t at) {
    ON_WRITE("pwrite", descriptor, size, NEXT(pwrite)(descriptor, data, count, at));
}

ssize_t pwrite64(int descriptor, const void *data, size_t size, off64_t at) {
    ON_WRITE("pwrite", descriptor, size, NEXT(pwrite64)(descriptor, data, count, at));
}

static size_t size_of(const struct iovec *parts, int number) {
    size_t size = 0;
    for (int index = 0; index < number; index++) size += parts[index].iov_len;
    return size;
}

/* the first `size` bytes of the parts */
static ssize_t gathered(int descriptor, const struct iovec *parts, size_t size, off64_t at) {
    char *data = malloc(size + 1), *end = data;
    if (data == NULL) abort();
    for (size_t left = size; left > 0; parts++) {
        size_t taken = parts->iov_len < left ? parts->iov_len : left;
        memcpy(end, parts->iov_base, taken);
        end += taken;
        left -= taken;
    }
    ssize_t given = at < 0 ? NEXT(write)(descriptor, data, size) : NEXT(pwrite64)(descriptor, data, size, at);
    free(data);
    return given;
}

ssize_t writev(int descriptor, const struct iovec *parts, int number) {
    ON_WRITE("write", descriptor, size_of(parts, number), gathered(descriptor, parts, count, -1));
}

ssize_t pwritev(int descriptor, const struct iovec *parts, int number, off_t at) {
    ON_WRITE("pwrite", descriptor, size_of(parts, number), gathered(descriptor, parts, count, at));
}

ssize_t pwritev64(int descriptor, const struct iovec *parts, int number, off64_t at) {
    ON_WRITE("pwrite", descriptor, size_of(parts, number), gathered(descriptor, parts, count, at));
}

ssize_t pwritev2(int descriptor, const struct iovec *parts, int number, off_t at, int flags) {
    (void)flags;
    ON_WRITE("pwrite", descriptor, size_of(parts, number), gathered(descriptor, parts, count, at));
}

ssize_t pwritev64v2(int descriptor, const struct iovec *parts, int number, off64_t at, int flags) {
    (void)flags;
    ON_WRITE("pwrite", descriptor, size_of(parts, number), gathered(descriptor, parts, count, at));
}

ssize_t sendfile(int to, int from, off_t *at, size_t size) {
    ON_WRITE("sendfile", to, size, NEXT(sendfile)(to, from, at, count));
}

ssize_t sendfile64(int to, int from, off64_t *at, size_t size) {
    ON_WRITE("sendfile", to, size, NEXT(sendfile64)(to, from, at, count));
}

ssize_t copy_file_range(int from, off64_t *at, int to, off64_t *to_at, size_t size, unsigned int flags) {
    ON_WRITE("copy_file_range", to, size, NEXT(copy_file_range)(from, at, to, to_at, count, flags));
}

/* ---- sizes, and what reaches the disk ---- */

int ftruncate(int descriptor, off_t size) {
    ON_DESCRIPTOR("ftruncate", descriptor, NEEDS_ROOM, -1, NEXT(ftruncate)(descriptor, size));
}

int ftruncate64(int descriptor, off64_t size) {
    ON_DESCRIPTOR("ftruncate", descriptor, NEEDS_ROOM, -1, NEXT(ftruncate64)(descriptor, size));
}

int truncate(const char *name, off_t size) {
    ON_PATH("truncate", AT_FDCWD, name, NEEDS_ROOM, NEXT(truncate)(name, size));
}

int truncate64(const char *name, off64_t size) {
    ON_PATH("truncate", AT_FDCWD, name, NEEDS_ROOM, NEXT(truncate64)(name, size));
}

int fallocate(int descriptor, int mode, off_t at, off_t size) {
    ON_DESCRIPTOR("fallocate", descriptor, NEEDS_ROOM, -1, NEXT(fallocate)(descriptor, mode, at, size));
}

int fallocate64(int descriptor, int mode, off64_t at, off64_t size) {
    ON_DESCRIPTOR("fallocate", descriptor, NEEDS_ROOM, -1, NEXT(fallocate64)(descriptor, mode, at, size));
}

/* this one returns its error */
int posix_fallocate(int descriptor, off_t at, off_t size) {
    ON_DESCRIPTOR("fallocate", descriptor, NEEDS_ROOM, errno, NEXT(posix_fallocate)(descriptor, at, size));
}

int posix_fallocate64(int descriptor, off64_t at, off64_t size) {
    ON_DESCRIPTOR("fallocate", descriptor, NEEDS_ROOM, errno, NEXT(posix_fallocate64)(descriptor, at, size));
}

/* A process that is killed loses nothing that it wrote: only a power cut asks for what these do, and is not tried here.
   So they are counted, may fail, and cost no time. */
int fsync(int descriptor) { ON_DESCRIPTOR("fsync", descriptor, CHANGES, -1, path != NULL ? 0 : NEXT(fsync)(descriptor)); }

int fdatasync(int descriptor) {
    ON_DESCRIPTOR("fsync", descriptor, CHANGES, -1, path != NULL ? 0 : NEXT(fdatasync)(descriptor));
}

int msync(void *start, size_t size, int flags) {
    /* of which file is not to be told; only SQLite's, which is below the root, are mapped to be written */
    const char *path = state.armed ? "" : NULL;
    ALL_OR_NOTHING("msync", path, NULL, CHANGES, -1, NEXT(msync)(start, size, flags));
}

/* ---- names ---- */

int rename(const char *from, const char *to) {
    ON_TWO("rename", AT_FDCWD, from, AT_FDCWD, to, CHANGES, NEXT(rename)(from, to));
}

int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    ON_TWO("rename", from_folder, from, to_folder, to, CHANGES, NEXT(renameat)(from_folder, from, to_folder, to));
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned int flags) {
    ON_TWO("rename", from_folder, from, to_folder, to, CHANGES,
           NEXT(renameat2)(from_folder, from, to_folder, to, flags));
}

int link(const char *from, const char *to) {
    ON_TWO("link", AT_FDCWD, from, AT_FDCWD, to, NEEDS_ROOM, NEXT(link)(from, to));
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    ON_TWO("link", from_folder, from, to_folder, to, NEEDS_ROOM, NEXT(linkat)(from_folder, from, to_folder, to, flags));
}

int symlink(const char *to, const char *name) {
    ON_PATH("symlink", AT_FDCWD, name, NEEDS_ROOM, NEXT(symlink)(to, name));
}

int symlinkat(const char *to, int folder, const char *name) {
    ON_PATH("symlink", folder, name, NEEDS_ROOM, NEXT(symlinkat)(to, folder, name));
}

int unlink(const char *name) { ON_PATH("unlink", AT_FDCWD, name, CHANGES, NEXT(unlink)(name)); }

int unlinkat(int folder, const char *name, int flags) {
    ON_PATH("unlink", folder, name, CHANGES, NEXT(unlinkat)(folder, name, flags));
}

int remove(const char *name) { ON_PATH("unlink", AT_FDCWD, name, CHANGES, NEXT(remove)(name)); }

int rmdir(const char *name) { ON_PATH("rmdir", AT_FDCWD, name, CHANGES, NEXT(rmdir)(name)); }

int mkdir(const char *name, mode_t mode) { ON_PATH("mkdir", AT_FDCWD, name, NEEDS_ROOM, NEXT(mkdir)(name, mode)); }

int mkdirat(int folder, const char *name, mode_t mode) {
    ON_PATH("mkdir", folder, name, NEEDS_ROOM, NEXT(mkdirat)(folder, name, mode));
}

/* ---- rights, owners, times ---- */

int chmod(const char *name, mode_t mode) { ON_PATH("chmod", AT_FDCWD, name, CHANGES, NEXT(chmod)(name, mode)); }

int fchmod(int descriptor, mode_t mode) { ON_DESCRIPTOR("chmod", descriptor, CHANGES, -1, NEXT(fchmod)(descriptor, mode)); }

int fchmodat(int folder, const char *name, mode_t mode, int flags) {
    ON_PATH("chmod", folder, name, CHANGES, NEXT(fchmodat)(folder, name, mode, flags));
}

int chown(const char *name, uid_t user, gid_t group) {
    ON_PATH("chown", AT_FDCWD, name, CHANGES, NEXT(chown)(name, user, group));
}

int lchown(const char *name, uid_t user, gid_t group) {
    ON_PATH("chown", AT_FDCWD, name, CHANGES, NEXT(lchown)(name, user, group));
}

int fchown(int descriptor, uid_t user, gid_t group) {
    ON_DESCRIPTOR("chown", descriptor, CHANGES, -1, NEXT(fchown)(descriptor, user, group));
}

int fchownat(int folder, const char *name, uid_t user, gid_t group, int flags) {
    ON_PATH("chown", folder, name, CHANGES, NEXT(fchownat)(folder, name, user, group, flags));
}

int utimensat(int folder, const char *name, const struct timespec times[2], int flags) {
    ON_PATH("utime", folder, name, CHANGES, NEXT(utimensat)(folder, name, times, flags));
}

int futimens(int descriptor, const struct timespec times[2]) {
    ON_DESCRIPTOR("utime", descriptor, CHANGES, -1, NEXT(futimens)(descriptor, times));
}
