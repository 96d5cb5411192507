/* The web log's lines: rule R1 and the form of a timestamp, as weblog.py and sieve.py have them. */

#include "text.h"

enum { ID, TIME, USER, COURSE, URL = 8, KEPT = 10, REAL_USER = KEPT, DEVELOPER_KEY, PLACES };

#define MOST_COLUMNS 64
#define MILLISECONDS 23

typedef struct {
    Py_ssize_t width;
    Py_ssize_t places[PLACES];
} Layout;

typedef struct {
    Py_ssize_t lines, filtered, kept;
    Text *ids;
    char *out; /* where the next byte goes */
} Sifted;

static bool is_stamp(Text field)
{
    const char seconds[] = DAY " 00:00:00";
    if (!FITS(field, seconds))
        return false;
    Text rest = behind(field, LENGTH(seconds));
    return rest.size == 0 || (rest.size <= 10 && rest.at[0] == '.' && is_number(behind(rest, 1)));
}

/* What follows "courses/" in the URL of a browser's own polling. */
static bool is_polling(Text rest)
{
    const char ping[] = "/ping", summary[] = "/activity_stream/summary", quizzes[] = "/quizzes/";
    const char backup[] = "/submissions/backup?user_id=0";
    Text course = behind_digits(rest);
    if (course.size == rest.size)
        return false;
    if (FITS(course, ping))
        return course.size == LENGTH(ping);
    if (FITS(course, summary))
        return course.size == LENGTH(summary);
    if (!FITS(course, quizzes))
        return false;
    Text quiz = behind(course, LENGTH(quizzes)), last = behind_digits(quiz);
    return last.size < quiz.size && FITS(last, backup);
}

static bool is_trash(Text url)
{
    const char courses[] = "courses/";
    const char *found;
    while ((found = memmem(url.at, url.size, courses, LENGTH(courses)))) {
        url = behind(url, found - url.at + LENGTH(courses));
        if (is_polling(url))
            return true;
    }
    return false;
}

/* Whether a backslash escapes the field's end or a dot, which COPY would misread. */
static bool misleads(Text field)
{
    const char *at = field.at, *end = field.at + field.size;
    while ((at = memchr(at, '\\', end - at))) {
        if (++at == end || *at == '.')
            return true;
        at++;
    }
    return false;
}

/* The line's fields; false where it has more or fewer of them. */
static bool cut(Text line, Py_ssize_t width, Text *fields)
{
    const char *at = line.at, *end = line.at + line.size;
    for (Py_ssize_t n = 0; n < width; n++) {
        const char *tab = memchr(at, '\t', end - at);
        if ((tab == NULL) != (n == width - 1))
            return false;
        fields[n] = (Text){at, (tab ? tab : end) - at};
        at += fields[n].size + 1;
    }
    return true;
}

static bool keep(const Text *fields, const Layout *layout, Sifted *sifted)
{
    sifted->ids[sifted->kept++] = fields[layout->places[ID]];
    for (int n = 0; n < KEPT; n++) {
        Text field = fields[layout->places[n]];
        if (misleads(field))
            return false;
        if (n == TIME && field.size > MILLISECONDS)
            field.size = MILLISECONDS;
        memcpy(sifted->out, field.at, field.size);
        sifted->out += field.size;
        *sifted->out++ = n == KEPT - 1 ? '\n' : '\t';
    }
    return true;
}

static bool sift_line(Text line, const Layout *layout, Sifted *sifted)
{
    Text fields[MOST_COLUMNS];
    if (!cut(line, layout->width, fields))
        return false;
    const Py_ssize_t *places = layout->places;
    Text real_user = fields[places[REAL_USER]], developer_key = fields[places[DEVELOPER_KEY]];
    bool by_itself = is_null(real_user) && is_null(developer_key);
    if (by_itself && !is_null(fields[places[USER]]) && !is_null(fields[places[COURSE]]) &&
        !is_trash(fields[places[URL]]))
        return !is_null(fields[places[ID]]) && is_stamp(fields[places[TIME]]) && keep(fields, layout, sifted);
    sifted->filtered++;
    return by_itself || ((is_null(real_user) || is_number(real_user)) &&
                         (is_null(developer_key) || is_number(developer_key)));
}

static bool sift_lines(Text piece, const Layout *layout, Sifted *sifted)
{
    const char *at = piece.at, *end = piece.at + piece.size;
    if (memchr(piece.at, '\r', piece.size))
        return false;
    while (at < end) {
        const char *newline = memchr(at, '\n', end - at);
        Text line = {at, (newline ? newline : end) - at};
        if (!sift_line(line, layout, sifted))
            return false;
        sifted->lines++;
        at += line.size + 1;
    }
    return true;
}

/* Whether each place is one of a line's fields, and no two the same: what is kept is never longer than the lines. */
static bool is_sound(const Layout *layout)
{
    unsigned long long seen = 0;
    if (layout->width > MOST_COLUMNS)
        return false;
    for (int n = 0; n < PLACES; n++) {
        Py_ssize_t place = layout->places[n];
        if (place < 0 || place >= layout->width || seen >> place & 1)
            return false;
        seen |= 1ULL << place;
    }
    return true;
}

static PyObject *listed(const Text *texts, Py_ssize_t count)
{
    PyObject *list = PyList_New(count);
    for (Py_ssize_t n = 0; list && n < count; n++) {
        PyObject *text = PyBytes_FromStringAndSize(texts[n].at, texts[n].size);
        if (!text || PyList_SetItem(list, n, text) < 0)
            Py_CLEAR(list);
    }
    return list;
}

PyObject *sift(PyObject *module, PyObject *args)
{
    Text piece;
    Layout layout;
    Py_ssize_t *p = layout.places;
    if (!PyArg_ParseTuple(args, "y#n(nnnnnnnnnnnn):sift", &piece.at, &piece.size, &layout.width, p, p + 1, p + 2, p + 3,
                          p + 4, p + 5, p + 6, p + 7, p + 8, p + 9, p + 10, p + 11))
        return NULL;
    if (!is_sound(&layout))
        Py_RETURN_NONE;
    /* The last line may lack its newline, and no line has less than a byte for each of its fields. */
    char *out = PyMem_Malloc(piece.size + 1);
    Text *ids = PyMem_Malloc((piece.size / layout.width + 1) * (Py_ssize_t)sizeof(Text));
    Sifted sifted = {.ids = ids, .out = out};
    PyObject *told = NULL, *list;
    if (!out || !ids) {
        PyErr_NoMemory();
    } else {
        bool plain;
        Py_BEGIN_ALLOW_THREADS
        plain = sift_lines(piece, &layout, &sifted);
        Py_END_ALLOW_THREADS
        if (!plain)
            told = Py_BuildValue("");
        else if ((list = listed(ids, sifted.kept)))
            told = Py_BuildValue("nnNy#", sifted.lines, sifted.filtered, list, out, (Py_ssize_t)(sifted.out - out));
    }
    PyMem_Free(out);
    PyMem_Free(ids);
    return told;
}

PyObject *suspected(PyObject *module, PyObject *args)
{
    PyObject *bits, *ids, *found;
    if (!PyArg_ParseTuple(args, "YO!:suspected", &bits, &PyList_Type, &ids))
        return NULL;
    size_t many = (size_t)PyByteArray_Size(bits) * 8;
    if (many == 0) {
        PyErr_SetString(PyExc_ValueError, "the bytes whose bits tell of ids are empty");
        return NULL;
    }
    found = PyList_New(0);
    for (Py_ssize_t n = 0; found && n < PyList_Size(ids); n++) {
        PyObject *id = PyList_GetItem(ids, n);
        if (!PyBytes_CheckExact(id)) { /* only of these it is sure that to hash them runs no code of others */
            PyErr_SetString(PyExc_TypeError, "an id is no bytes");
            Py_CLEAR(found);
            break;
        }
        size_t place = (size_t)PyObject_Hash(id) % many;
        char *byte = PyByteArray_AsString(bits) + place / 8, bit = (char)(1 << place % 8);
        if (*byte & bit && PyList_Append(found, id) < 0)
            Py_CLEAR(found);
        *byte |= bit;
    }
    return found;
}
