/* The bytes of full tables: what COPY would misread, and fields of times and numbers that are neither. */

#include "text.h"

enum { ANY, NUMBER, STAMP };

#define LONGEST_VALUE 64

static bool is_plain_stamp(Text field)
{
    if (memchr(field.at, '-', field.size)) {
        if (!FITS(field, DAY))
            return false;
        field = behind(field, LENGTH(DAY));
        if (field.size && field.at[0] == 'T')
            field = behind(field, 1);
    }
    for (Py_ssize_t n = 0; n < field.size; n++)
        if (!is_digit(field.at[n]) && field.at[n] != ':' && field.at[n] != '.' && field.at[n] != ' ')
            return false;
    return true;
}

static bool is_plain_number(Text field)
{
    if (field.size && field.at[0] == '-')
        field = behind(field, 1);
    field = behind_digits(field);
    return field.size == 0 || (field.at[0] == '.' && behind_digits(behind(field, 1)).size == 0);
}

static bool is_plain(Text field, int kind)
{
    return kind == ANY || is_null(field) || (kind == STAMP ? is_plain_stamp(field) : is_plain_number(field));
}

static bool is_misread(char byte) { return (byte >= '0' && byte <= '7') || memchr(".\t\r\nx", byte, 5) != NULL; }

typedef struct {
    Text kinds;
    Py_ssize_t column, newlines;
    Text open; /* what the bytes behind need of the last field, which goes on there */
} Scanned;

/* Where the field at `at` ends; NULL where COPY would misread it. `escapes`: what follows `end` is escaped. */
static const char *end_of_field(const char *at, const char *end, bool *escapes)
{
    for (; at < end && *at != '\t' && *at != '\n'; at++) {
        if (*at != '\\')
            continue;
        if ((*escapes = ++at == end))
            return end;
        if (is_misread(*at))
            return NULL;
    }
    return at;
}

static bool scan_fields(Text looked, Scanned *scanned)
{
    const char *at = looked.at, *end = looked.at + looked.size, *stop;
    bool escapes = false;
    while ((stop = end_of_field(at, end, &escapes))) {
        int kind = scanned->column < scanned->kinds.size ? scanned->kinds.at[scanned->column] : ANY;
        Text field = {at, stop - at};
        if (stop == end) {
            scanned->open = kind == ANY ? (Text){end - escapes, escapes} : field;
            return scanned->open.size <= LONGEST_VALUE;
        }
        if (!is_plain(field, kind))
            return false;
        scanned->newlines += *stop == '\n';
        scanned->column = *stop == '\n' ? 0 : scanned->column + 1;
        at = stop + 1;
    }
    return false;
}

PyObject *scan(PyObject *module, PyObject *args)
{
    Text looked;
    Scanned scanned = {.newlines = 0};
    bool plain;
    if (!PyArg_ParseTuple(args, "y#y#n:scan", &looked.at, &looked.size, &scanned.kinds.at, &scanned.kinds.size,
                          &scanned.column))
        return NULL;
    if (scanned.column < 0)
        return PyErr_Format(PyExc_ValueError, "there is no column %zd", scanned.column);
    Py_BEGIN_ALLOW_THREADS
    plain = scan_fields(looked, &scanned);
    Py_END_ALLOW_THREADS
    if (!plain)
        Py_RETURN_NONE;
    return Py_BuildValue("nny#", scanned.newlines, scanned.column, scanned.open.at, scanned.open.size);
}
