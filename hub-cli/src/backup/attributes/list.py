# Lists the attributes of the kind user.* of all files below a directory: an object
# of JSON in each line. What an archive cannot hold is passed over: names with "=" or
# with what cannot be printed, and empty values.
import base64
import errno
import json
import os
import sys

output, top = sys.argv[1], os.fsencode(sys.argv[2])
# Removed meanwhile; or a kind of file, or a file system, that has none.
NONE = (errno.ENOENT, errno.ENODATA, errno.ENOTSUP, errno.ENOTDIR)


def text(data):
    return base64.b64encode(data).decode()


def expected(error):
    if error.errno not in NONE:
        raise error


def attributes(path):
    try:
        for name in os.listxattr(path, follow_symlinks=False):
            if name.startswith("user.") and name.isprintable() and "=" not in name:
                value = os.getxattr(path, name, follow_symlinks=False)
                if value:
                    yield name, value
    except OSError as error:
        expected(error)


with open(output, "w") as lines:
    for folder, folders, files in os.walk(top, onerror=expected):
        for path in (os.path.join(folder, name) for name in folders + files):
            for name, value in attributes(path):
                inside = text(os.path.relpath(path, top))
                line = {"path": inside, "name": name, "value": text(value)}
                print(json.dumps(line), file=lines)
