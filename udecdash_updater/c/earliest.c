/* The earliest timestamp among lines, as rows.py looks for it. */

#include "text.h"

static bool is_before(Text one, Text other)
{
    int order = memcmp(one.at, other.at, one.size < other.size ? one.size : other.size);
    return order < 0 || (order == 0 && one.size < other.size);
}

/* The timestamp in this column of the line, with some of what stands behind; empty where there is none. */
static Text stamp_of(Text line, Py_ssize_t place)
{
    const Py_ssize_t longest = LENGTH(DAY) + 20;
    for (Py_ssize_t n = 0; n < place; n++) {
        const char *tab = memchr(line.at, '\t', line.size);
        if (!tab)
            return (Text){line.at, 0};
        line = behind(line, tab - line.at + 1);
    }
    bool is_one = FITS(line, DAY " ") || FITS(line, DAY "T");
    if (!is_one || line.size == LENGTH(DAY) + 1)
        return (Text){line.at, 0};
    return (Text){line.at, line.size < longest ? line.size : longest};
}

PyObject *earliest(PyObject *module, PyObject *args)
{
    Text looked, first = {NULL, 0};
    Py_ssize_t stop, place;
    if (!PyArg_ParseTuple(args, "y#nn:earliest", &looked.at, &looked.size, &stop, &place))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    const char *end = looked.at + (stop < looked.size ? stop : looked.size), *at = looked.at;
    while (at < end && (at = memchr(at, '\n', end - at))) {
        const char *begin = at + 1, *newline = memchr(begin, '\n', end - begin);
        Text found = stamp_of((Text){begin, (newline ? newline : end) - begin}, place);
        if (found.size && (!first.at || is_before(found, first)))
            first = found;
        at = newline ? newline : end;
    }
    Py_END_ALLOW_THREADS
    return PyBytes_FromStringAndSize(first.at, first.size);
}
