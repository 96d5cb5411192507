/* Text that lies somewhere else: a field, a line, what is left of one. */

#ifndef TEXT_H
#define TEXT_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030A0000
#define _GNU_SOURCE /* memmem */
#include <Python.h>
#include <stdbool.h>
#include <string.h>

typedef struct {
    const char *at;
    Py_ssize_t size;
} Text;

static inline bool is_null(Text field) { return field.size == 2 && field.at[0] == '\\' && field.at[1] == 'N'; }

static inline bool is_digit(char byte) { return byte >= '0' && byte <= '9'; }

static inline Text behind(Text text, Py_ssize_t size) { return (Text){text.at + size, text.size - size}; }

static inline Text behind_digits(Text text)
{
    Py_ssize_t size = 0;
    while (size < text.size && is_digit(text.at[size]))
        size++;
    return behind(text, size);
}

static inline bool is_number(Text field) { return field.size > 0 && behind_digits(field).size == 0; }

/* Whether the text begins with this, where each 0 stands for any digit. */
static inline bool fits(Text text, const char *form, Py_ssize_t size)
{
    if (text.size < size)
        return false;
    for (Py_ssize_t n = 0; n < size; n++)
        if (form[n] == '0' ? !is_digit(text.at[n]) : text.at[n] != form[n])
            return false;
    return true;
}

#define LENGTH(word) ((Py_ssize_t)sizeof word - 1)
#define FITS(text, form) fits(text, form, LENGTH(form))
#define DAY "0000-00-00"

PyObject *sift(PyObject *module, PyObject *args);
PyObject *suspected(PyObject *module, PyObject *args);
PyObject *earliest(PyObject *module, PyObject *args);
PyObject *scan(PyObject *module, PyObject *args);

#endif
